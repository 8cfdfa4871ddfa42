"""The registry's tables. A change needs a migration in ``migrations/versions``; a test compares the two."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

HEAD = "0003"
"""The newest migration."""

metadata = MetaData()

_TIME = DateTime(timezone=True)

model_versions = Table(
    "model_versions",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("created", _TIME, nullable=False),
    Column("record", JSON, nullable=False),
    # What follows repeats parts of the record, so that long lists need not read it.
    Column("artifact", String(64), nullable=False),
    Column("base_model", Text, nullable=False),
    Column("parent", Integer),
    Column("base_score", Float),
    Column("adapted_score", Float),
    Column("size", BigInteger, nullable=False),
    # Since when it is not to be promoted, is deleted, when that can no longer be undone, and since when it is not.
    Column("retired", _TIME),
    Column("deleted", _TIME),
    Column("expires", _TIME),
    Column("purged", _TIME),
    Index("model_versions_by_artifact", "artifact"),
    # All that lists show, so that they need not pass over the records.
    Index(
        "model_versions_listed",
        *("domain", "version", "created", "base_model", "parent", "base_score", "adapted_score", "size"),
        *("retired", "deleted", "expires", "purged"),
    ),
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
    Column("version", Integer),  # null where the alias was removed
    Column("previous", Integer),
    Column("kind", String(16), nullable=False),
    Column("moved", _TIME, nullable=False),
    Column("author", String(256), nullable=False),
    Column("why", Text),
    Column("gate", JSON),  # the verdicts of the gate that was asked
    Column("forced", Boolean, nullable=False, server_default="0"),
    Index("alias_moves_by_alias", "domain", "alias", "id"),
)

generation = Table(
    "generation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)
"""One row, whose number grows with every change, so that readers need compare no more than that."""

reservations = Table(
    "reservations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("artifact", String(64), nullable=False),
    Column("made", _TIME, nullable=False),
)
"""Artifacts that a publication in progress is about to refer to."""

policies = Table(
    "policies",
    metadata,
    Column("domain", String(64), primary_key=True),  # empty for the whole registry
    Column("policy", JSON, nullable=False),
    Column("set_at", _TIME, nullable=False),
    Column("author", String(256), nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("made", _TIME, nullable=False),
)
"""Digests of the keys that move protected aliases."""

protected_aliases = Table(
    "protected_aliases",
    metadata,
    Column("domain", String(64), primary_key=True),  # empty for the whole registry
    Column("alias", String(64), primary_key=True),
    Column("role", String(64), nullable=False),
)
"""What policies say of roles, in the form in which PostgreSQL's triggers read it."""

signatures = Table(
    "signatures",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("bundle", Text, nullable=False),
    Column("made", _TIME, nullable=False),
    Column("author", String(256), nullable=False),
    ForeignKeyConstraint(["domain", "version"], ["model_versions.domain", "model_versions.version"]),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("secret_variable", String(128), nullable=False),
    Column("made", _TIME, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("webhook", String(64), nullable=False),
    Column("event", JSON, nullable=False),
    Column("made", _TIME, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due", _TIME),  # null when it was delivered or given up
    Column("delivered", _TIME),
    Column("outcome", Text),
    Index("deliveries_by_due", "due"),
)
