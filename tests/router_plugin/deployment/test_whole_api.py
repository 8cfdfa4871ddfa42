"""All tests of the API that ask a server only by HTTP, on the deployment, and the death of a replica."""

from __future__ import annotations

import pytest

from tests.router_plugin.server import test_contracts, test_openai
from tests.router_plugin.server.conftest import wait_for
from tests.router_plugin.server.test_openai import own as own

pytestmark = pytest.mark.ray

INSIDE = (
    "test_a_route_with_the_label_of_no_route_is_not_served",
    "test_the_questions_of_a_request_are_answered_by_one_state_of_the_router",
    "test_all_texts_of_a_request_are_counted_before_any_is_read",
    "test_feedback_can_be_learnt_from",
)
"""Those that reach into the server's process."""

globals().update(
    {
        name: test
        for module in (test_contracts, test_openai)
        for name, test in vars(module).items()
        if name.startswith("test_") and name not in INSIDE
    }
)


def test_a_request_is_answered_though_the_replica_that_encodes_dies(client, asked):
    import ray
    from ray.util import list_named_actors

    def replicas():
        return [each for each in list_named_actors(all_namespaces=True) if "#encoders#" in each["name"]]

    (first,) = replicas()
    ray.kill(ray.get_actor(first["name"], namespace=first["namespace"]))
    wait_for(lambda: first not in replicas(), 60)
    before = len(asked)
    wait_for(lambda: len(asked) > before + 3, 120)
