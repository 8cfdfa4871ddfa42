"""Migrates a registry's tables to the newest schema."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def upgrade(connection: Connection) -> None:
    """Run every pending migration in the connection's own transaction."""
    config = Config()
    config.set_main_option("script_location", "registry.storage:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
