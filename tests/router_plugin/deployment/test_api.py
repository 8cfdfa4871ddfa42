"""The deployment answers as the server does: a part of the API's own tests, and a promotion."""

from __future__ import annotations

import pytest

from registry import ClusterError
from router_plugin.deployment.options import RayOptions
from router_plugin.deployment.running import running
from tests.router_plugin.server import test_contracts, test_openai
from tests.router_plugin.server.conftest import wait_for
from tests.router_plugin.server.test_openai import own as own
from training import publish

pytestmark = pytest.mark.slow

test_decisions = test_contracts.test_decisions_are_those_of_the_router
test_conversations = test_contracts.test_conversations_are_read_in_context
test_explanations = test_contracts.test_decisions_are_explained
test_domains = test_contracts.test_every_domain_has_a_probability
test_joint_space = test_contracts.test_texts_are_embedded_in_the_joint_space
test_embeddings = test_openai.test_a_domain_embeds_by_its_own_encoder
test_any_text = test_openai.test_any_text_has_a_vector_of_unit_length
test_identifiers = test_openai.test_the_joint_space_holds_all_domains
test_mistakes = test_openai.test_mistakes_are_told_as_openai_tells_them


def test_it_is_said_which_replicas_start_and_are_healthy(serving, heard):
    assert heard[0].startswith("encoders starting (0 of ")
    assert heard[-1] == "encoders healthy (1 of 1 replica run), server healthy (1 of 1 replica run)"
    assert len(heard) == len(set(heard)) <= 6


def test_replicas_for_which_there_is_no_room_are_refused(serving):
    large = serving[1].replace(ray=RayOptions(encoder_replicas=2, encoder_gpus=0.5))
    said = (
        "no room for 1 server replica and 2 encoder replicas: 3 cores and 1 GPU needed, .* lower `replicas`, `encoder"
    )
    with pytest.raises(ClusterError, match=said), running(large):
        pass


def fingerprint(client):
    return client.post("/v1/embeddings", json={"model": "legal", "input": "rent"}).json()["system_fingerprint"]


def test_a_promotion_rolls_over_without_an_error(client, serving, asked, other_legal):
    from registry import Registry

    store = Registry.open(serving[1].registry)
    publish(other_legal, store, force=True)
    store.promote("legal@2")
    wait_for(lambda: fingerprint(client).startswith("legal@2"), 60)
    store.rollback("legal")
    wait_for(lambda: fingerprint(client).startswith("legal@1"), 60)
    store.close()
