"""The registry's tables. A change needs a migration in ``migrations/versions``; a test compares the two."""

from sqlalchemy import JSON, Column, DateTime, ForeignKeyConstraint, Integer, MetaData, String, Table

HEAD = "0002"
"""The newest migration."""

metadata = MetaData()

model_versions = Table(
    "model_versions",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("record", JSON, nullable=False),
)

aliases = Table(
    "aliases",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("alias", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["domain", "version"], ["model_versions.domain", "model_versions.version"]),
)

alias_moves = Table(
    "alias_moves",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("domain", String(64), nullable=False),
    Column("alias", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("previous", Integer),
    Column("kind", String(16), nullable=False),
    Column("moved", DateTime(timezone=True), nullable=False),
    Column("author", String(256), nullable=False),
)
