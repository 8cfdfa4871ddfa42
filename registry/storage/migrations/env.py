"""Alembic's entry: runs the migrations on the connection that the registry hands over."""

from alembic import context

from registry.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
