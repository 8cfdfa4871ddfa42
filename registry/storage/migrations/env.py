"""Alembic's entry point: runs the migrations on the registry's connection."""

from alembic import context

from registry.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
