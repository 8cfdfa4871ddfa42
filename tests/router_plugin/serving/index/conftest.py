"""An empty store of each kind."""

from __future__ import annotations

import pytest

from tests.registry import servers


@pytest.fixture(scope="module")
def pgserver():
    pytest.importorskip("pgserver")
    with servers.postgresql("pgserver") as server:
        yield server


@pytest.fixture
def database(pgserver):
    """The address of an empty PostgreSQL with pgvector."""
    with servers.new_database(pgserver) as url:
        yield url.replace("postgresql+psycopg", "postgresql")


@pytest.fixture(params=["qdrant", "pgvector"])
def address(request, tmp_path):
    """The address of an empty store."""
    if request.param == "pgvector":
        return request.getfixturevalue("database")
    pytest.importorskip("qdrant_client")
    (tmp_path / "qdrant").mkdir()
    return str(tmp_path / "qdrant")
