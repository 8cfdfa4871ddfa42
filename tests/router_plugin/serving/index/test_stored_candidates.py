"""What an index of candidates stores and finds: resumed, exact where it must be, and never another model's."""

from __future__ import annotations

import time
from contextlib import closing

import numpy as np
import pytest

from router_plugin import CandidateIndexError, Route
from router_plugin.serving import candidate_store
from router_plugin.serving.candidate_store import embed
from router_plugin.serving.candidates import Candidates, Queries
from router_plugin.serving.index import pgvector
from router_plugin.serving.index.contract import Space
from router_plugin.serving.index.opening import open_index
from router_plugin.serving.index.stored_candidates import Shelf, StoredCandidates
from tests.router_plugin.serving.test_candidates import Counting

SPACE = Space(domain="legal", model="legal@1", digest="one", runtime="counting")
OTHER = Space(domain="legal", model="legal@2", digest="two", runtime="counting")
MANY = [Route(name=f"r{row}", utterances=tuple(f"{row} {each}" for each in range(3))) for row in range(40)]


@pytest.fixture
def index(address):
    with closing(open_index(address, 1)) as opened:
        yield opened


def filled(index, routes=MANY, space=SPACE, nearest=10, encoder=None, previous=None):
    return StoredCandidates.filled(routes, Shelf(index, space, nearest), encoder or Counting(), previous)


def query(text="1 1"):
    return Queries(Counting().encode([text]), [text], [0.0], [text])


def test_few_candidates_are_read_and_those_routes_are_scored_as_in_memory(index):
    stored, in_memory = filled(index), Candidates.embedded(MANY, lambda texts: embed(texts, Counting()))
    for text in ("1 1", "another", "39 2"):
        for aggregation in ("max", "mean", "top-k"):
            expected = in_memory.scores(query(text), aggregation, 2)[0]
            (found,) = stored.scores(query(text), aggregation, 2)
            known = np.flatnonzero(~np.isnan(found))
            assert 0 < len(known) <= 10
            np.testing.assert_allclose(found[known], expected[known], atol=2e-6)
            if aggregation == "max":
                assert np.nanargmax(found) == expected.argmax()
            far = np.flatnonzero(np.isnan(found))
            np.testing.assert_allclose(stored.scores_of(query(text), far, aggregation, 2), expected[far], atol=2e-6)
        assert stored.nearest(query(text), 3) == [
            (route, utterance, pytest.approx(cosine, abs=2e-6))
            for route, utterance, cosine in in_memory.nearest(query(text), 3)
        ]


def test_a_build_that_is_killed_goes_on_where_it_was_and_a_restart_embeds_nothing(index, monkeypatch):
    class Killed(Counting):
        def encode(self, texts):
            if len(self.texts) >= 40:
                raise KeyboardInterrupt
            return super().encode(texts)

    monkeypatch.setattr(candidate_store, "BLOCK", 20)
    with pytest.raises(KeyboardInterrupt):
        filled(index, encoder=Killed())
    encoder = Counting()
    assert filled(index, encoder=encoder).made == len(encoder.texts) == 80
    assert filled(index).made == 0


def test_more_routes_embed_what_is_new_and_what_is_removed_is_found_no_more(index):
    encoder = Counting()
    before = filled(index, MANY[:30], encoder=encoder)
    after = filled(index, MANY[1:], encoder=encoder, previous=before)
    assert encoder.texts[90:] == [text for route in MANY[30:] for text in route.utterances]
    (found,) = after.scores(query("0 1"))
    assert np.nanmax(found) < 1 and before.scores(query("0 1"))[0].max(initial=0, where=[True] + [False] * 29) == 1
    assert after.prune() == 3 and index.spaces()[0].entries == 117


def test_more_routes_embed_what_was_lost_meanwhile_too_and_the_same_routes_look_nothing_up(index, monkeypatch):
    before = filled(index, MANY[:5])
    index.drop(SPACE)
    assert filled(index, MANY[:6], previous=before).made == 18
    monkeypatch.setattr(index, "readings", None)
    assert filled(index, MANY[:4], previous=before).made == 0


def test_candidates_of_others_do_not_hide_those_of_a_router(index):
    filled(index)
    few = filled(index, MANY[7:8])
    in_memory = Candidates.embedded(MANY[7:8], lambda texts: embed(texts, Counting()))
    np.testing.assert_allclose(few.scores(query()), in_memory.scores(query()), atol=2e-6)


def test_versions_lie_beside_each_other_and_are_removed_one_by_one(index):
    filled(index, MANY[:2])
    filled(index, MANY[:3], OTHER)
    assert [(str(each.space), each.entries) for each in index.spaces()] == [
        (f"domain legal by legal@1 on counting (space {SPACE.identifier})", 6),
        (f"domain legal by legal@2 on counting (space {OTHER.identifier})", 9),
    ]
    index.drop(SPACE)
    assert [each.space for each in index.spaces()] == [OTHER]


def test_a_space_that_is_gone_is_an_error_that_names_the_others_and_the_command(index):
    stored = filled(index)
    filled(index, MANY[:1], OTHER)
    index.drop(SPACE)
    for read in (lambda: stored.scores(query()), lambda: stored.scores_of(query(), np.array([1]))):
        with pytest.raises(CandidateIndexError, match="legal@1.*has domain legal by legal@2.*index build") as error:
            read()
        assert SPACE.identifier in str(error.value) and OTHER.identifier in str(error.value)


def test_vectors_of_another_space_are_never_compared(index, address):
    stored = filled(index)
    written_elsewhere(index, address)
    said = f"has vectors of space {OTHER.identifier}.*{SPACE.identifier}.*index build"
    for read in (
        lambda: stored.scores(query()),
        lambda: stored.scores_of(query(), np.arange(40)),
        lambda: filled(index),
    ):
        with pytest.raises(CandidateIndexError, match=said):
            read()


def written_elsewhere(index, address):
    """Entries of another space come into a place, as after a restored copy."""
    if address.startswith("postgresql"):
        with index._connected() as connection:
            connection.execute(f"UPDATE {SPACE.place} SET space = %s", (OTHER.identifier,))
    else:
        points = [point.id for point in index._client.scroll(SPACE.place, limit=1000)[0]]
        index._client.set_payload(SPACE.place, {"space": OTHER.identifier}, points)


def test_lost_candidates_are_an_error_and_no_answer(index):
    stored = filled(index)
    index.delete(SPACE, [each for page in index.ids(SPACE) for each in page])
    with pytest.raises(CandidateIndexError, match="has lost the candidates"):
        stored.scores(query())


def test_an_unreadable_utterance_is_stored_without_a_vector_and_matches_its_text_alone(index):
    class Half(Counting):
        def encode(self, texts):
            found = super().encode(texts)
            found[[text == "?" for text in texts]] = np.nan
            return found

        def unread(self, text):
            return float(text == "?")

    stored = filled(index, [Route(name="a", utterances=("?", "b")), Route(name="c", utterances=("?",))], encoder=Half())
    (found,) = stored.scores(query())
    assert not np.isnan(found[0]) and np.isnan(found[1])
    unread = Queries(np.zeros((1, 8), np.float32), ["?"], [1.0], ["?"])
    assert stored.scores(unread).tolist() == [[1, 1]]
    assert stored.readings()["?"].unread == 1 and filled(index, stored.routes).readings() == stored.readings()


def test_many_candidates_get_an_index_whose_nearest_are_the_exact_ones(database, monkeypatch):
    monkeypatch.setattr(pgvector, "INDEXED_FROM", 100)
    with closing(open_index(database, 5)) as index:
        filled(index)
        with index._connected() as connection:
            (definition,) = connection.execute(
                "SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%hnsw%'"
            ).fetchone()
            plan = connection.execute(
                f"EXPLAIN SELECT id FROM {SPACE.place} ORDER BY embedding <=> '[1,0,0,0,0,0,0,0]' LIMIT 5"
            ).fetchall()
        assert "vector_cosine_ops" in definition and "hnsw" not in str(plan)  # few rows are read one by one
        stored, in_memory = filled(index), Candidates.embedded(MANY, lambda texts: embed(texts, Counting()))
        hits = [
            np.nanargmax(stored.scores(query(str(row)))) == in_memory.scores(query(str(row))).argmax()
            for row in range(30)
        ]
        assert np.mean(hits) > 0.95


def test_a_read_ends_at_its_limit_and_what_comes_later_is_answered(database):
    import psycopg

    with closing(open_index(database, 1)) as index:
        stored = filled(index)
        with psycopg.connect(database) as holder:
            holder.execute(f"LOCK TABLE {SPACE.place}")
            started = time.monotonic()
            with pytest.raises(CandidateIndexError, match="did not answer within 1 s"):
                stored.scores(query())
            assert time.monotonic() - started < 5
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert np.nanmax(stored.scores(query())) == 1


@pytest.mark.parametrize("store", ["http://127.0.0.1:1", "qdrant://127.0.0.1:1", "postgresql://nobody@127.0.0.1:1/d"])
def test_a_store_that_is_down_is_an_error(store):
    with closing(open_index(store, 1)) as index, pytest.raises(CandidateIndexError, match="Qdrant at|PostgreSQL: "):
        index.spaces()


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("postgresql://me:s3cret@host/db", "set PGPASSWORD"),
        ("postgresql://host/db?password=s3cret", "set PGPASSWORD"),
        ("https://me:s3cret@host:6333", "set QDRANT_API_KEY"),
        ("http://[s3cret", "malformed"),
        ("nowhere", "expected the URL of a Qdrant, the folder of an embedded one, or postgresql://"),
    ],
)
def test_an_address_with_a_password_is_refused_and_the_password_is_not_shown(store, said):
    with pytest.raises(CandidateIndexError, match=said) as error:
        open_index(store, 1)
    assert "s3cret" not in str(error.value)


def test_a_place_is_a_digest_whatever_a_domain_is_called():
    place = Space(domain='x"; DROP TABLE y', model="m", digest="d", runtime="r").place
    assert place.removeprefix("candidates_").isalnum() and len(place) == 27
    assert SPACE.identifier == SPACE.model_copy(update={"model": "another name"}).identifier != OTHER.identifier
