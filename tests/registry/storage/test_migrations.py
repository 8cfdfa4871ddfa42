"""The tables of a registry are brought to the newest schema with all that they hold, and back."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from registry import ModelVersion, Registry, RegistryError
from registry.records import ArtifactFile, ModelRecord
from registry.storage.file_lists import digest_of_list
from registry.storage.location import locate
from registry.storage.tables import HEAD, metadata
from tests.registry.samples import make_record

THEN = datetime(2026, 11, 1, tzinfo=timezone.utc)
TABLES = {
    "model_versions": ("domain", "version", "created", "record"),
    "aliases": ("domain", "alias", "version"),
    "alias_moves": ("domain", "alias", "version", "kind", "moved", "author"),
}
"""The columns at 0002, as far as rows are written here."""
TYPES = {"record": sa.JSON(), "created": sa.DateTime(timezone=True), "moved": sa.DateTime(timezone=True)}


def scripts() -> Config:
    config = Config()
    config.set_main_option("script_location", "registry.storage:migrations")
    return config


def migrate(url: str, to: str, back: bool = False) -> None:
    """Bring the tables of a registry to a revision."""
    location = locate(url)
    if location.file:
        location.file.parent.mkdir(exist_ok=True)
    engine, config = sa.create_engine(location.database), scripts()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if back else command.upgrade)(config, to)
    engine.dispose()


def fill(url: str, record: ModelRecord) -> None:
    """Write two versions, each with an alias, as the program at 0002 did."""
    engine = sa.create_engine(locate(url).database)
    files = (ArtifactFile(path="model.safetensors", sha256="a" * 64, size=7),)
    for number, alias in ((1, "champion"), (2, "candidate")):
        version = ModelVersion(
            **record.model_dump(include=set(ModelRecord.model_fields)),
            **{"version": number, "created": THEN, "author": "a", "code_version": "0", "parent": number - 1 or None},
            **{"artifact": digest_of_list(files), "files": files},
        )
        row = {"domain": record.domain, "version": number, "created": THEN, "record": version.model_dump(mode="json")}
        row |= {"alias": alias, "kind": "publish", "moved": THEN, "author": "a"}
        with engine.begin() as connection:
            for name, columns in TABLES.items():
                table = sa.table(name, *(sa.column(each, TYPES.get(each)) for each in columns))
                connection.execute(sa.insert(table).values({each: row[each] for each in columns}))
    engine.dispose()


def test_migrations_produce_the_declared_tables(registry_url: str) -> None:
    registry = Registry.open(registry_url)
    registry.create()
    with registry._store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD
        for name, table in metadata.tables.items():
            keys = sa.inspect(connection).get_pk_constraint(name)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key]
    registry.close()


def test_the_tables_name_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(scripts()).get_heads() == [HEAD]


def test_a_registry_of_an_earlier_version_is_migrated_with_all_it_holds(registry_url: str) -> None:
    migrate(registry_url, "0002")
    fill(registry_url, make_record())
    registry = Registry.open(registry_url)
    found = [(each.name, each.size, each.parent, each.base_model) for each in registry.listed()]
    base = registry.get("medical").base_model.name
    assert found == [("medical@1", 7, None, base), ("medical@2", 7, 1, base)]
    assert registry.aliases("medical") == {"candidate": 2, "champion": 1}
    assert [(move.alias, move.version) for move in registry.history("medical")] == [("champion", 1), ("candidate", 2)]
    assert registry.promote("medical").version == 2
    for change in ("DELETE FROM alias_moves", "UPDATE alias_moves SET author = 'b'"):
        with pytest.raises(DBAPIError, match="append-only"), registry._store.engine.begin() as connection:
            connection.execute(sa.text(change))
    with pytest.raises(DBAPIError), registry._store.engine.begin() as connection:  # foreign keys are checked again
        connection.execute(sa.text("INSERT INTO aliases VALUES ('medical', 'other', 9)"))
    registry.close()


@pytest.mark.parametrize("to", ["0002", "base"])
def test_migrations_are_reverted_with_all_that_the_earlier_version_can_hold(registry_url: str, to: str) -> None:
    migrate(registry_url, "0002")
    fill(registry_url, make_record())
    registry = Registry.open(registry_url)
    registry.promote("medical")  # which removes the candidate, as no earlier version could
    if to == "base":
        with registry._store.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM aliases"))
    registry.close()
    migrate(registry_url, to, back=True)
    registry = Registry.open(registry_url)
    assert registry.aliases("medical") == ({"champion": 2} if to == "0002" else {})
    assert [move.version for move in registry.history("medical")] == ([1, 2, 2] if to == "0002" else [])
    registry.close()


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("9999", "made by a newer domain-router.* 9999, .*upgrade"),
        ("2b4d017a5e9b", "another program.* 2b4d017a5e9b.* of its own"),
    ],
)
def test_tables_of_another_version_or_program_are_refused_with_advice(
    registry_url: str, revision: str, said: str
) -> None:
    registry = Registry.open(registry_url)
    registry.create()
    with registry._store.engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    registry.close()
    with pytest.raises(RegistryError, match=said):
        Registry.open(registry_url)
