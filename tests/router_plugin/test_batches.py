"""Batches as callers have them: whatever can be iterated once gives as many answers, and what is missing is named."""

import asyncio
import io
import math
from collections import deque

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.shared.texts import is_missing
from router_plugin import DomainRouter, JointSpace, QueryError, Route, RoutesError, Tuner, UnmodelledDomain, explain
from router_plugin.batches import read_batch, read_optional_texts, read_texts

TEXTS = ["why do my ankles swell", "tell me a joke", "", "tell me a joke"]

KINDS = {
    "list": list,
    "tuple": tuple,
    "deque": deque,
    "generator": lambda texts: (text for text in texts),
    "iterator": iter,
    "map": lambda texts: map(str.strip, texts),
    "filter": lambda texts: filter(lambda _: True, texts),
    "values": lambda texts: dict(enumerate(texts)).values(),
    "array": lambda texts: np.array(texts, dtype=object),
    "strings": np.array,
    "series": lambda texts: pd.Series(texts, index=range(7, 7 + len(texts)), dtype=object),
    "index": pd.Index,
}
MISSING = [None, float("nan"), np.nan, pd.NA, pd.NaT, np.float64("nan")]
NO_TEXTS = [b"text", 5, ["text"], ("a",), {"a": 1}, object(), True]


@pytest.mark.parametrize("kind", KINDS)
def test_any_iterable_gives_the_answers_of_a_list(router, kind):
    def given():
        return KINDS[kind](TEXTS)

    expected = [decision.route for decision in router.route_many(TEXTS)]
    assert [decision.route for decision in router.route_many(given())] == expected
    assert [decision.query for decision in asyncio.run(router.aroute_many(given()))] == TEXTS
    assert router.rank(given(), 2) == router.rank(TEXTS, 2)
    assert router.scores(given()) == router.scores(TEXTS)
    names = [*router.domains][: len(TEXTS)]
    assert [decision.domain for decision in router.route_many(given(), KINDS[kind](names))] == names


def test_an_open_file_is_a_batch_of_its_lines(router, tmp_path):
    path = tmp_path / "queries.txt"
    path.write_text("why do my ankles swell\n\ntell me a joke", encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        decisions = router.route_many(file)
    assert [decision.query for decision in decisions] == ["why do my ankles swell\n", "\n", "tell me a joke"]
    assert [decision.reason == "the query is empty" for decision in decisions] == [False, True, False]
    with path.open("rb") as file, pytest.raises(QueryError, match=r"`queries\[0\]` must be text, not bytes"):
        router.route_many(file)


@pytest.mark.parametrize("kind", ["generator", "array", "series"])
def test_fit_and_evaluate_read_queries_and_labels_once(make_router, kind):
    router = make_router(min_confidence=0.0)
    queries = ["may a landlord keep my deposit", "the knee of mine swells", "sing me a song"]
    labels = [router.routes[0].name, router.routes[1].name, None]
    expected = Tuner(make_router(min_confidence=0.0)).fit(queries, labels)
    assert Tuner(router).fit(KINDS[kind](queries), KINDS[kind](labels)) == expected
    found = Tuner(router).evaluate(KINDS[kind](queries), KINDS[kind](labels))
    assert (found.queries, found) == (3, Tuner(router).evaluate(queries, labels))


@pytest.mark.parametrize("kind", ["generator", "array", "series", "values"])
def test_a_joint_space_reads_texts_and_domains_once(served_domains, kind):
    space = JointSpace(served_domains)
    names = ["legal", None, "medical", None]
    expected = space.encode_documents(TEXTS, names)
    np.testing.assert_array_equal(space.encode_documents(KINDS[kind](TEXTS), KINDS[kind](names)), expected)


@given(st.lists(st.text(max_size=5)), st.sampled_from(["list", "tuple", "deque", "generator", "iterator", "values"]))
def test_nothing_is_lost_or_added(texts, kind):
    assert read_texts(KINDS[kind](texts), "queries") == texts
    assert read_optional_texts(KINDS[kind]([*texts, None]), "labels", "no route") == [*texts, None]


@given(st.lists(st.text(max_size=5), max_size=5), st.sampled_from([*MISSING, *NO_TEXTS]), st.lists(st.text(max_size=5)))
def test_what_is_no_text_is_named_with_its_position(before, wrong, after):
    with pytest.raises(QueryError) as error:
        read_texts([*before, wrong, *after], "queries")
    assert f"`queries[{len(before)}]` must be text, not {type(wrong).__name__}" in str(error.value)
    assert ("missing" in str(error.value)) == any(wrong is each for each in MISSING)


@pytest.mark.parametrize("wrong", [each for each in MISSING if each is not None])
def test_a_label_that_is_missing_otherwise_than_by_none_is_refused(wrong):
    with pytest.raises(QueryError, match=r"`labels\[1\]` must be text.*missing.*; None stands for no route"):
        read_optional_texts(["a", wrong], "labels", "no route")


@pytest.mark.parametrize(
    "column", [pd.Series(["a", None]), pd.Series(["a", None], dtype="string"), pd.Series(["a", 1])]
)
def test_a_column_of_pandas_with_a_gap_is_refused(router, column):
    with pytest.raises(QueryError, match=r"`queries\[1\]` must be text"):
        router.route_many(column)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ("one text", "not one text"),
        (b"one text", "not one text"),
        ({"a": 1}, "not dict: give its keys or its values"),
        ({"a"}, "not set, which has no order"),
        (frozenset("a"), "not frozenset, which has no order"),
        (None, "not NoneType"),
        (5, "not int"),
        (np.array([["a"]]), "one column of texts, not 2 dimensions"),
        (np.array("a"), "one column of texts, not 0 dimensions"),
        (pd.DataFrame({"text": ["a"]}), "one column of texts, not 2 dimensions"),
    ],
)
def test_what_is_no_batch_is_refused_everywhere(router, served_domains, batch, said):
    space, tuner = JointSpace(served_domains), Tuner(router)
    for call in (
        router.route_many,
        lambda wrong: asyncio.run(router.aroute_many(wrong)),
        lambda wrong: router.rank(wrong, 1),
        router.scores,
        lambda wrong: router.route_many(["a"], wrong) if wrong is not None else router.route_many(wrong),
        lambda wrong: tuner.fit(wrong, [None]),
        lambda wrong: tuner.fit(["a"], wrong),
        lambda wrong: tuner.evaluate(["a"], wrong),
        space.encode_queries,
        space.encode_documents,
    ):
        with pytest.raises(QueryError, match=said):
            call(batch)


@pytest.mark.parametrize("query", [None, math.nan, pd.NA, 5, b"text", ["text"]])
def test_a_single_query_that_is_no_text_is_refused(router, query):
    for call in (router.route, lambda wrong: explain(router, wrong), lambda wrong: asyncio.run(router.aroute(wrong))):
        with pytest.raises(QueryError, match=f"`query` must be text, not {type(query).__name__}"):
            call(query)


def test_numbers_of_queries_labels_and_domains_must_agree(router):
    tuner = Tuner(router)
    with pytest.raises(QueryError, match="2 queries, 1 labels"):
        tuner.fit(iter(["a", "b"]), iter([None]))
    with pytest.raises(QueryError, match="0 queries, 0 labels"):
        tuner.evaluate(iter([]), iter([]))
    with pytest.raises(QueryError, match="2 queries, 1 domains"):
        tuner.fit(["a", "b"], [None, None], iter(["legal"]))
    with pytest.raises(QueryError, match=r"unknown route 'nan' as a label: `labels\[1\]`"):
        tuner.fit(["a", "b"], [None, "nan"])


def test_domains_to_load_are_names_of_domains(router):
    router.preload(name for name in ("legal", "general"))
    for wrong, said in (("legal", "not one text"), (["law"], "unknown domain 'law': expected some of general")):
        with pytest.raises(QueryError, match=said):
            router.preload(wrong)


@pytest.mark.parametrize("kind", [*KINDS, "set", "frozenset"])
def test_utterances_are_any_iterable_of_texts(kind):
    made = KINDS.get(kind) or {"set": set, "frozenset": frozenset}[kind]
    assert sorted(Route(name="a", utterances=made(["one", "two"])).utterances) == ["one", "two"]


@pytest.mark.parametrize(
    "wrong", ["one", b"one", {"one": 1}, None, 5, ["one", None], ["one", b"two"], ["one", math.nan]]
)
def test_utterances_that_are_no_texts_are_refused(router, wrong):
    before = router.routes
    with pytest.raises(RoutesError, match=r"`routes\[1\]`: utterances"):
        router.set_routes([router.routes[0], {"name": "a", "utterances": wrong}])
    assert router.routes == before


def test_routes_may_be_dicts_a_single_one_and_any_iterable(router, tmp_path):
    route = Route(name="a", utterances=("x",), domain="legal")
    plain = {"name": "a", "utterances": ["x"], "domain": "legal"}
    path = tmp_path / "routes.yaml"
    path.write_text("routes: [{name: a, utterances: [x], domain: legal}]", encoding="utf-8")
    for given_ in (route, plain, [route], [plain], (each for each in [plain]), {"routes": [plain]}, path, str(path)):
        router.set_routes([])
        router.set_routes(given_)
        assert router.routes == (route,)
    router.add_routes({"name": "b", "utterances": ["y"]})
    assert [each.name for each in router.routes] == ["a", "b"]


@pytest.mark.parametrize("wrong", [None, 5, b"routes.yaml", [None], ["routes.yaml"], [("a", "x")], {"a": ["x"]}, [{}]])
def test_what_is_no_route_is_refused(router, served_domains, wrong):
    before = router.routes
    for call in (router.set_routes, router.add_routes, lambda routes: DomainRouter.over(served_domains, routes)):
        with pytest.raises(RoutesError, match="`routes"):
            call(wrong)
    assert router.routes == before


def test_missing_values_are_known_without_pandas():
    assert all(map(is_missing, MISSING))
    assert not any(map(is_missing, [0, "", "nan", False, 0.0, [], math.inf]))
    assert read_batch(io.StringIO("a\nb"), "queries") == ["a\n", "b"]


def test_examples_of_a_domain_are_texts():
    assert UnmodelledDomain(name="a", queries=(text for text in ["x", "y"])).queries == ("x", "y")
    for wrong in ("xy", [b"x"], [None], {"x": 1}):
        with pytest.raises(ValueError, match="queries"):
            UnmodelledDomain(name="a", queries=wrong)
