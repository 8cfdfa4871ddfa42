"""What a team needs: columns for lists, deletion, a history with reasons that cannot be changed, policies, webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TIME = sa.DateTime(timezone=True)
_TABLES = ("generation", "reservations", "policies", "keys", "signatures", "webhooks", "deliveries")
_COPIED = ("artifact", "base_model", "parent", "base_score", "adapted_score", "size")
_STATES = ("retired", "deleted", "expires", "purged")
_LISTED = ["domain", "version", "created", *_COPIED[1:], *_STATES]


def upgrade() -> None:
    """Add columns and tables, and fill the columns from the records."""
    _widen_versions()
    _widen_moves()
    _create_tables()


def downgrade() -> None:
    """Remove them again."""
    _drop_triggers()
    for table in _TABLES:
        op.drop_table(table)
    with op.batch_alter_table("alias_moves") as moves:
        moves.drop_index("alias_moves_by_alias")
        for column in ("why", "gate", "forced"):
            moves.drop_column(column)
        moves.alter_column("version", existing_type=sa.Integer, nullable=False)
    with op.batch_alter_table("model_versions") as versions:
        versions.drop_index("model_versions_listed")
        versions.drop_index("model_versions_by_artifact")
        for column in (*_COPIED, *_STATES):
            versions.drop_column(column)


def _widen_versions() -> None:
    with op.batch_alter_table("model_versions") as versions:
        versions.add_column(sa.Column("artifact", sa.String(64)))
        versions.add_column(sa.Column("base_model", sa.Text))
        versions.add_column(sa.Column("parent", sa.Integer))
        versions.add_column(sa.Column("base_score", sa.Float))
        versions.add_column(sa.Column("adapted_score", sa.Float))
        versions.add_column(sa.Column("size", sa.BigInteger))
        for column in _STATES:
            versions.add_column(sa.Column(column, _TIME))
    _fill_versions()
    with op.batch_alter_table("model_versions") as versions:
        for column, kind in (("artifact", sa.String(64)), ("base_model", sa.Text()), ("size", sa.BigInteger())):
            versions.alter_column(column, existing_type=kind, nullable=False)
        versions.create_index("model_versions_by_artifact", ["artifact"])
        versions.create_index("model_versions_listed", _LISTED)


def _fill_versions() -> None:
    names = ("domain", "version", *_COPIED)
    table = sa.table("model_versions", sa.column("record", sa.JSON), *(sa.column(name) for name in names))
    connection = op.get_bind()
    for row in connection.execute(sa.select(table.c.domain, table.c.version, table.c.record)).all():
        record = row.record
        connection.execute(
            sa.update(table)
            .where(table.c.domain == row.domain, table.c.version == row.version)
            .values(
                artifact=record["artifact"],
                base_model=record["base_model"]["name"],
                parent=record["parent"],
                base_score=record["base_metrics"].get("test", {}).get("mrr@5"),
                adapted_score=record["adapted_metrics"].get("test", {}).get("mrr@5"),
                size=sum(file["size"] for file in record["files"]),
            )
        )


def _widen_moves() -> None:
    with op.batch_alter_table("alias_moves") as moves:
        moves.alter_column("version", existing_type=sa.Integer, nullable=True)
        moves.add_column(sa.Column("why", sa.Text))
        moves.add_column(sa.Column("gate", sa.JSON))
        moves.add_column(sa.Column("forced", sa.Boolean, nullable=False, server_default="0"))
        moves.create_index("alias_moves_by_alias", ["domain", "alias", "id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION alias_moves_stay() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the history of aliases is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER alias_moves_stay BEFORE UPDATE OR DELETE ON alias_moves "
            "FOR EACH ROW EXECUTE FUNCTION alias_moves_stay()"
        )
        return
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER alias_moves_{event.lower()} BEFORE {event} ON alias_moves "
            "BEGIN SELECT RAISE(ABORT, 'the history of aliases is append-only'); END"
        )


def _drop_triggers() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER alias_moves_stay ON alias_moves")
        op.execute("DROP FUNCTION alias_moves_stay")
        return
    for event in ("update", "delete"):
        op.execute(f"DROP TRIGGER alias_moves_{event}")


def _create_tables() -> None:
    generation = op.create_table(
        "generation",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(generation, [{"id": 1, "number": 0}])
    op.create_table(
        "reservations",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("artifact", sa.String(64), nullable=False),
        sa.Column("made", _TIME, nullable=False),
    )
    op.create_table(
        "policies",
        sa.Column("domain", sa.String(64), primary_key=True),
        sa.Column("policy", sa.JSON, nullable=False),
        sa.Column("set_at", _TIME, nullable=False),
        sa.Column("author", sa.String(256), nullable=False),
    )
    op.create_table(
        "keys",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("made", _TIME, nullable=False),
    )
    op.create_table(
        "signatures",
        sa.Column("domain", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("made", _TIME, nullable=False),
        sa.Column("author", sa.String(256), nullable=False),
        sa.ForeignKeyConstraint(["domain", "version"], ["model_versions.domain", "model_versions.version"]),
    )
    op.create_table(
        "webhooks",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.JSON, nullable=False),
        sa.Column("secret_variable", sa.String(128), nullable=False),
        sa.Column("made", _TIME, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("webhook", sa.String(64), nullable=False),
        sa.Column("event", sa.JSON, nullable=False),
        sa.Column("made", _TIME, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due", _TIME),
        sa.Column("delivered", _TIME),
        sa.Column("outcome", sa.Text),
    )
    op.create_index("deliveries_by_due", "deliveries", ["due"])
