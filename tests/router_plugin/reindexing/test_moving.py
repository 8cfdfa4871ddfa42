"""A move is complete, has no duplicates, touches nothing that serves before the cutover, and can be undone."""

import random
import signal
import time

import numpy as np
import pytest

pytest.importorskip("qdrant_client")
pytest.importorskip("pgserver")

from router_plugin.errors import ReindexError
from router_plugin.reindexing.index import Item
from router_plugin.reindexing.moving import DualWriter, backfill, compare
from tests.registry import servers
from tests.registry.samples import start_python

from .samples import NEW, OLD, TEXTS, Hashed, pgvector_index, qdrant_index


@pytest.fixture(scope="module")
def pgserver():
    with servers.postgresql("pgserver") as server:
        yield server


@pytest.fixture
def table_database(pgserver):
    """The URL of an empty database with pgvector."""
    with servers.new_database(pgserver) as url:
        yield url.replace("postgresql+psycopg", "postgresql")


@pytest.fixture(params=["qdrant", "pgvector"])
def opened(request, tmp_path):
    """A function that opens the index anew, as another process would."""
    if request.param == "qdrant":
        folder, current = tmp_path / "qdrant", []

        def reopen(fill=False):
            for index in current:
                index._client.close()
            current[:] = [qdrant_index(folder, fill)]
            return current[0]

        reopen.where = ("qdrant_index", str(folder))
        reopen.release = lambda: [index._client.close() for index in current]
    else:
        url = request.getfixturevalue("table_database")

        def reopen(fill=False):
            return pgvector_index(url, fill)

        reopen.where = ("pgvector_index", url)
        reopen.release = lambda: None
    reopen(fill=True)
    return reopen


def results(index, embedder, upcoming, text=TEXTS[7]):
    return [each.id for each in index.search(embedder.queries([text])[0], 5, upcoming)]


def all_ids(index, embedder, upcoming):
    return sorted(each.id for each in index.search(embedder.queries(["text"])[0], 1000, upcoming))


def test_a_move_is_filled_compared_cut_over_and_finished(opened):
    index = opened()
    before = results(index, OLD, upcoming=False)
    seen = []
    assert backfill(index, NEW, 7, lambda done, of: seen.append((done, of))) == len(TEXTS)
    assert seen[-1] == (60, 60) and seen == sorted(seen)
    assert results(index, OLD, upcoming=False) == before
    state = opened().state()
    assert (state.next, state.items, state.missing) == ("medical@2", 60, 0)
    found = compare(opened(), OLD, NEW, TEXTS[:10], {text: [str(i)] for i, text in enumerate(TEXTS[:4])}, k=5)
    assert found.judged == 4 and found.recall == {"serving": 1.0, "next": 1.0} and 0 < found.overlap <= 1
    index = opened()
    index.cut_over()
    assert all_ids(index, NEW, upcoming=False) == list(range(60))
    state = opened().state()
    assert state.serving == "medical@2" and state.next is None and state.before is not None
    opened().finish()
    assert opened().state().before is None
    with pytest.raises(ReindexError, match="served by medical@2 already"):
        backfill(opened(), NEW)
    assert backfill(opened(), Hashed("medical@3", 8)) == len(TEXTS)


def test_a_cutover_is_refused_while_vectors_are_missing(opened):
    index = opened()
    with pytest.raises(ReindexError, match="no move is under way"):
        index.cut_over()
    index.prepare(NEW.model, NEW.dimension)
    with pytest.raises(ReindexError, match="60 "):
        index.cut_over()
    assert all_ids(index, OLD, upcoming=False) == list(range(60))


def test_one_move_at_a_time(opened):
    backfill(opened(), NEW)
    with pytest.raises(ReindexError, match="medical@2 is under way"):
        backfill(opened(), Hashed("medical@3"))


def test_a_move_that_did_not_serve_is_given_up(opened):
    backfill(opened(), NEW)
    assert "gave up" in opened().roll_back(force=False)
    state = opened().state()
    assert (state.next, state.before) == (None, None)
    assert results(opened(), OLD, upcoming=False)
    assert backfill(opened(), Hashed("medical@3", 8)) == 60


def test_a_cutover_is_rolled_back_and_cut_over_again(opened):
    index = opened()
    before = results(index, OLD, upcoming=False)
    backfill(index, NEW)
    index.cut_over()
    index.roll_back(force=False)
    assert results(index, OLD, upcoming=False) == before
    assert index.state().next == "medical@2"
    index.cut_over()
    assert all_ids(index, NEW, upcoming=False) == list(range(60))


def test_writes_to_both_sides_before_during_and_after_the_cutover(opened):
    index = opened()
    writer = DualWriter(index, OLD, NEW)
    writer.write([Item(100, "written before", {"text": "written before"})])
    backfill(index, NEW)
    writer.write(
        [Item(101, "written meanwhile", {"text": "written meanwhile"}), Item(3, "changed", {"text": "changed"})]
    )
    writer.remove([4])
    assert index.state().missing == 0
    index.cut_over()
    writer.write([Item(102, "written afterwards", {"text": "written afterwards"})])
    expected = sorted([*(number for number in range(60) if number != 4), 100, 101, 102])
    assert all_ids(index, NEW, upcoming=False) == expected
    assert results(index, NEW, False, "changed")[0] == 3
    index.roll_back(force=False)
    assert all_ids(index, OLD, upcoming=False) == expected
    assert results(index, OLD, False, "written afterwards")[0] == 102


def test_what_others_wrote_to_the_serving_side_alone_is_made_up_for(opened):
    index = opened()
    backfill(index, NEW)
    write_alone(index, 5, "other words")
    assert index.state().missing == 1
    with pytest.raises(ReindexError, match="1 "):
        index.cut_over()
    assert backfill(index, NEW) == 1
    assert results(index, NEW, True, "other words")[0] == 5
    index.cut_over()
    write_alone(index, 6, "only the new side")
    with pytest.raises(ReindexError, match="force"):
        index.roll_back(force=False)
    assert "serve" in index.roll_back(force=True)


def write_alone(index, number, text):
    """As a program writes that knows nothing of a move."""
    serving = NEW if index.state().serving else OLD
    vector = serving.documents([text])[0]
    if hasattr(index, "_client"):
        index._put(index._named(""), [Item(number, text, {"text": text})], np.stack([vector]))
    else:
        index._connection.execute(
            "UPDATE docs SET text = %s, embedding = %s::vector WHERE id = %s", (text, str(vector.tolist()), number)
        )


MOVE = """
import sys
from tests.router_plugin.reindexing import samples
from router_plugin.reindexing.moving import backfill
index = getattr(samples, sys.argv[1])(sys.argv[2])
print("ready", flush=True)
backfill(index, samples.Hashed("medical@2", 24, 0.01), 3)
print("done", flush=True)
"""


@pytest.mark.slow
def test_a_backfill_that_is_killed_at_any_instant_goes_on_where_it_was(opened):
    draw = random.Random(7)
    before = results(opened(), OLD, upcoming=False)
    missing = [60]
    for _ in range(6):
        opened.release()
        process = start_python(MOVE, *opened.where)
        assert process.stdout.readline() == "ready\n"
        time.sleep(draw.uniform(0.0, 0.12))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        index = opened()
        assert results(index, OLD, upcoming=False) == before
        assert all_ids(index, OLD, upcoming=False) == list(range(60))
        if (left := index.state().missing) is not None:
            missing.append(left)
    assert missing == sorted(missing, reverse=True)
    assert any(0 < left < 60 for left in missing)
    index = opened()
    made = backfill(index, NEW, 5)
    assert made == missing[-1]
    assert all_ids(index, NEW, upcoming=True) == list(range(60))
    index.cut_over()
    assert all_ids(index, NEW, upcoming=False) == list(range(60))


def test_a_table_keeps_its_rules_and_gets_the_same_index(table_database):
    index = pgvector_index(table_database, fill=True)
    backfill(index, NEW)
    index.cut_over()
    columns = {name: column.required for name, column in index._columns().items()}
    assert columns == {"embedding": True, "embedding__before": False}
    definitions = " ".join(definition for _, definition in index._indexes())
    assert "hnsw" in definitions and "m='8'" in definitions and "vector_cosine_ops" in definitions
    index.finish()
    assert [name for (name,) in index._all("SELECT tgname FROM pg_trigger WHERE tgrelid = %s", index._oid)] == []


def test_every_move_has_an_index_however_long_its_name_is(table_database):
    index = pgvector_index(table_database, fill=True)
    index._connection.execute(f"ALTER INDEX docs_hnsw RENAME TO {'x' * 60}")
    for number in (2, 3, 4):
        backfill(index, Hashed(f"medical@{number}", 24))
        index.cut_over()
        index.finish()
        (row,) = index._indexes()
        assert row[0] == "x" * 57 + ("__next" if number % 2 == 0 else "")


def test_a_password_is_not_shown_where_the_url_is_malformed():
    from router_plugin.reindexing.opening import open_pgvector

    with pytest.raises(ReindexError, match="malformed") as error, open_pgvector("postgresql://u:se%zzcret@h/d", "docs"):
        pass
    assert "cret" not in str(error.value)


def test_a_collection_with_sparse_vectors_is_refused_as_they_would_be_lost(tmp_path):
    from qdrant_client import models

    from router_plugin.reindexing.qdrant import QdrantIndex

    client = qdrant_index(tmp_path, fill=True)._client
    client.create_collection(
        "both",
        {"dense": models.VectorParams(size=4, distance=models.Distance.COSINE)},
        sparse_vectors_config={"words": models.SparseVectorParams()},
    )
    alias = models.CreateAlias(collection_name="both", alias_name="mixed")
    client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
    with pytest.raises(ReindexError, match="sparse vectors"):
        QdrantIndex(client, "mixed", vector="dense").prepare("medical@2", 24)


def test_entries_without_text_are_named(opened):
    index = opened()
    if hasattr(index, "_client"):
        index._put("first", [Item(99, "", {"page": 1})], OLD.documents(["x"]))
    else:
        index._connection.execute("UPDATE docs SET text = NULL WHERE id = 9")
    with pytest.raises(ReindexError, match="no text"):
        backfill(index, NEW)
    assert len(all_ids(index, OLD, upcoming=False)) >= 60


@pytest.mark.parametrize("table", ["nothing", "docs; DROP TABLE docs", 'docs"'])
def test_a_table_that_does_not_exist_is_refused(table_database, table):
    from router_plugin.reindexing.pgvector import PgVectorIndex

    connection = pgvector_index(table_database, fill=True)._connection
    with pytest.raises(ReindexError, match="does not exist"):
        PgVectorIndex(connection, table)


def test_a_collection_without_an_alias_is_refused(tmp_path):
    from router_plugin.reindexing.qdrant import QdrantIndex

    client = qdrant_index(tmp_path, fill=True)._client
    for name, said in (("first", "cannot be switched"), ("nothing", "unknown")):
        with pytest.raises(ReindexError, match=said):
            QdrantIndex(client, name)
