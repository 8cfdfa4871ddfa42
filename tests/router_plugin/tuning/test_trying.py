"""Labelled queries decided by any state, and utterances that lie nearer to another route."""

import numpy as np

from router_plugin import Route
from router_plugin.evaluation.labelled_queries import LabelledQueries
from router_plugin.serving.candidate_store import Embedded
from router_plugin.serving.candidates import Candidates
from router_plugin.tuning.strays import find_strays
from router_plugin.tuning.trying import try_out


def test_a_state_decides_that_does_not_serve(make_router):
    router = make_router()
    served = router.state
    name = served.given[0].name
    state = served.with_given([served.given[0].model_copy(update={"utterances": ("zyx wvu",)}), *served.given[1:]])
    asked = LabelledQueries(["ZYX WVU", "zyx  wvu ", "my chest hurts"], [name, name, None])
    tried = try_out(router, state, asked, 10)
    assert tried.queries == ["my chest hurts"] and tried.utterances == 2 and tried.given == 3
    assert router.state is served
    assert try_out(router, served, asked, 2).decisions[0].query in asked.queries
    assert len(try_out(router, served, asked, 2).queries) == 2


def test_between_routes_an_utterance_is_compared_with_all_but_itself():
    routes = [
        Route(name="a", utterances=("1", "2")),
        Route(name="b", utterances=("3",)),
        Route(name="c", utterances=("4",)),
    ]
    angles = np.deg2rad([0, 80, 20, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    vectors[3] = np.nan
    embedded = [Embedded(vector, float(row == 3), bytes([row])) for row, vector in enumerate(vectors)]
    found = Candidates(routes, embedded).between_routes([0, 1, 2, 3])
    np.testing.assert_allclose(found.own, [np.cos(angles[1])] * 2 + [-1] * 2, atol=1e-5)
    assert found.nearest[:3].tolist() == [2, 2, 0] and found.other[3] == -1


def test_strays_are_nearer_to_another_route_and_the_sample_is_bounded(make_router):
    state = make_router().state
    found = find_strays(state, 1000)
    assert found.looked_at == found.all
    assert all(each.other > each.own and each.other_route != each.route for each in found.found)
    assert found.found == sorted(found.found, key=lambda each: each.own - each.other)
    part = find_strays(state, 5)
    assert part.looked_at == 5 and part.all == found.all and set(part.found) <= set(found.found)
