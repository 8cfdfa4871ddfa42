"""A history of aliases that the database refuses to change."""

from alembic import op

revision = "0002"
down_revision = "0001"

_REFUSAL = "the history of aliases is append-only"


def upgrade() -> None:
    """Create the triggers that refuse."""
    if _is_postgresql():
        op.execute(
            "CREATE FUNCTION alias_moves_stay() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER alias_moves_stay BEFORE UPDATE OR DELETE ON alias_moves "
            "FOR EACH ROW EXECUTE FUNCTION alias_moves_stay()"
        )
        return
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER alias_moves_{event.lower()} BEFORE {event} ON alias_moves "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )


def downgrade() -> None:
    """Drop them."""
    if _is_postgresql():
        op.execute("DROP TRIGGER alias_moves_stay ON alias_moves")
        op.execute("DROP FUNCTION alias_moves_stay")
        return
    for event in ("update", "delete"):
        op.execute(f"DROP TRIGGER alias_moves_{event}")


def _is_postgresql() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")
