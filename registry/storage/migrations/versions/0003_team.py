"""What a team needs: columns for lists, deletion, a history with reasons, policies, signatures, webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TIME = sa.DateTime(timezone=True)
_TABLES = (
    *("generation", "reservations", "policies", "keys", "protected_aliases", "signatures", "webhooks", "deliveries"),
)
_COPIED = ("artifact", "base_model", "parent", "base_score", "adapted_score", "size")
_STATES = ("retired", "deleted", "expires", "purged")
_LISTED = ["domain", "version", "created", *_COPIED[1:], *_STATES]


def upgrade() -> None:
    """Add columns and tables, and fill the columns from the records."""
    _widen_versions()
    _widen_moves()
    _create_tables()
    _protect_aliases()


def downgrade() -> None:
    """Remove them again."""
    _leave_aliases()
    for table in _TABLES:
        op.drop_table(table)
    _narrow_moves()
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
    if _is_postgresql():
        op.execute(
            "CREATE TRIGGER alias_moves_stay_all BEFORE TRUNCATE ON alias_moves "
            "FOR EACH STATEMENT EXECUTE FUNCTION alias_moves_stay()"
        )
        return
    _refuse_on_sqlite("UPDATE")
    _refuse_on_sqlite("DELETE")
    _refuse_on_sqlite("INSERT", "WHEN EXISTS (SELECT 1 FROM alias_moves WHERE id = NEW.id) ")  # INSERT OR REPLACE


def _narrow_moves() -> None:
    if _is_postgresql():
        for trigger in ("alias_moves_stay", "alias_moves_stay_all"):
            op.execute(f"DROP TRIGGER {trigger} ON alias_moves")
    else:
        op.execute("DROP TRIGGER alias_moves_delete")
    op.execute("DELETE FROM alias_moves WHERE version IS NULL")  # an alias could not be removed before
    with op.batch_alter_table("alias_moves") as moves:
        moves.drop_index("alias_moves_by_alias")
        for column in ("why", "gate", "forced"):
            moves.drop_column(column)
        moves.alter_column("version", existing_type=sa.Integer, nullable=False)
    if _is_postgresql():
        op.execute(
            "CREATE TRIGGER alias_moves_stay BEFORE UPDATE OR DELETE ON alias_moves "
            "FOR EACH ROW EXECUTE FUNCTION alias_moves_stay()"
        )
    else:
        _refuse_on_sqlite("UPDATE")
        _refuse_on_sqlite("DELETE")


def _refuse_on_sqlite(event: str, when: str = "") -> None:
    """SQLite changes a column by copying its table, without the triggers."""
    op.execute(
        f"CREATE TRIGGER alias_moves_{event.lower()} BEFORE {event} ON alias_moves {when}"
        "BEGIN SELECT RAISE(ABORT, 'the history of aliases is append-only'); END"
    )


def _is_postgresql() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def _leave_aliases() -> None:
    if not _is_postgresql():
        return
    for table, function in _PROTECTED:
        for trigger in (function, f"{function}_all"):
            op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for function in ("check_alias()", "check_policy()", "check_protection()", "check_role(text, text)"):
        op.execute(f"DROP FUNCTION {function}")


_PROTECTED = (
    ("aliases", "check_alias"),
    ("policies", "check_policy"),
    ("protected_aliases", "check_protection"),
)
"""Tables with the functions that see every row before it changes; their triggers are called like the functions."""


def _protect_aliases() -> None:
    """Let PostgreSQL itself see to it that only members of a role move an alias, or change who may.

    The policy of a domain stands in place of the registry's. The functions run with the rights of who makes the change,
    and take tables of this schema, not temporary ones of the same name.
    """
    if not _is_postgresql():
        return
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar()
    language = f"LANGUAGE plpgsql SET search_path = {schema}, pg_temp"
    op.execute(
        f"CREATE FUNCTION check_role(of_domain text, of_alias text) RETURNS void {language} AS $$ "
        "DECLARE found record; BEGIN "
        "FOR found IN SELECT alias, role FROM protected_aliases "
        "WHERE (of_alias IS NULL OR alias = of_alias) AND domain = "
        "CASE WHEN EXISTS (SELECT 1 FROM policies WHERE domain = of_domain) THEN of_domain ELSE '' END LOOP "
        "IF NOT pg_has_role(current_user, found.role, 'MEMBER') THEN "
        "RAISE EXCEPTION 'alias % is protected: only members of the role % may do that', found.alias, found.role "
        "USING ERRCODE = 'insufficient_privilege'; END IF; END LOOP; END $$"
    )
    for function, old, new in (
        ("check_alias", "PERFORM check_role(OLD.domain, OLD.alias);", "PERFORM check_role(NEW.domain, NEW.alias);"),
        ("check_policy", "PERFORM check_role(OLD.domain, NULL);", "PERFORM check_role(NEW.domain, NULL);"),
        ("check_protection", _member("OLD"), _member("NEW")),
    ):
        op.execute(
            f"CREATE FUNCTION {function}() RETURNS trigger {language} AS $$ BEGIN "
            f"IF TG_OP = 'TRUNCATE' THEN RAISE EXCEPTION 'this table is not emptied at once'; END IF; "
            f"IF TG_OP <> 'INSERT' THEN {old} END IF; IF TG_OP <> 'DELETE' THEN {new} RETURN NEW; END IF; "
            "RETURN OLD; END $$"
        )
    for table, function in _PROTECTED:
        op.execute(
            f"CREATE TRIGGER {function} BEFORE INSERT OR UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
        op.execute(
            f"CREATE TRIGGER {function}_all BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )


def _member(row: str) -> str:
    """Refuses who may not change a row of the protected aliases: no member of its role, or of another one in force."""
    return (
        f"PERFORM check_role({row}.domain, NULL); IF NOT pg_has_role(current_user, {row}.role, 'MEMBER') THEN "
        f"RAISE EXCEPTION 'only members of the role % may do that', {row}.role "
        "USING ERRCODE = 'insufficient_privilege'; END IF;"
    )


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
        "protected_aliases",
        sa.Column("domain", sa.String(64), primary_key=True),
        sa.Column("alias", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(64), nullable=False),
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
