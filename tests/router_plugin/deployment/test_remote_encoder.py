"""Encoders in other processes read texts as those do, and a call is made again when its replica dies."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from ray.exceptions import ActorDiedError

from router_plugin import ServedDomains, ServerError, Settings
from router_plugin.deployment import remote_encoder
from router_plugin.deployment.encoder_name import EncoderName
from router_plugin.deployment.encoders import EncoderFacts
from router_plugin.deployment.remote_encoder import RemoteEncoder, RemoteEncoderPlugin, RemoteEncoders
from router_plugin.plugins.builtin import BUILT_IN
from router_plugin.plugins.manager import Plugins, plugins

TEXTS = ["what are the side effects of ibuprofen", "rent " * 100, "zzz"]


class Replicas:
    """In place of Ray Serve's handle: the encoders in this process, of which the first calls die."""

    def __init__(self, store, settings, deaths=0):
        self.store, self.settings, self.deaths, self.calls = store, settings, deaths, []

    def options(self, multiplexed_model_id):
        def remote(method):
            return SimpleNamespace(remote=lambda *given: Asked(self, multiplexed_model_id, method, given))

        return SimpleNamespace(encode=remote("encode"), facts=remote("facts"))

    def answer(self, model, method, given):
        self.calls.append((method, *map(len, given)))
        if self.deaths:
            self.deaths -= 1
            raise ActorDiedError
        encoder = EncoderName.model_validate_json(model).load(self.store, plugins(), self.settings)
        found = EncoderFacts(encoder.reader, encoder.runtime) if method == "facts" else encoder.encode(*given)
        return pickle.loads(pickle.dumps(found))  # noqa: S301  what Ray does with what it sends


class Asked:
    def __init__(self, replicas, *call):
        self.replicas, self.call = replicas, call

    def result(self, timeout_s):
        return self.replicas.answer(*self.call)


@pytest.fixture
def replicas(served):
    from registry import Registry

    store = Registry.open(str(served))
    yield Replicas(store, Settings(device="cpu"))
    store.close()


@pytest.fixture
def domains(served, replicas):
    """The domains with remote encoders."""
    others = {name: each for name, each in BUILT_IN.items() if name not in ("compiled-encoder", "torch-encoder")}
    known = Plugins({**others, "remote": RemoteEncoderPlugin(RemoteEncoders(replicas))})
    with ServedDomains(str(served), settings=Settings(device="cpu", target_precision=0), plugin_manager=known) as found:
        yield found


def test_texts_of_several_domains_are_read_and_encoded_as_in_one_process(domains, served_domains):
    pairs = [(name, text) for name in ("medical", "legal", "general") for text in TEXTS]
    found, wanted = domains.encode(pairs, {}), served_domains.encode(pairs, {})
    np.testing.assert_allclose(found.vectors, wanted.vectors, atol=1e-5)
    assert found[1:] == wanted[1:]
    assert domains.encoder_id("medical") == served_domains.encoder_id("medical")


def test_a_long_batch_is_spread_over_calls(domains, replicas, monkeypatch):
    monkeypatch.setattr(remote_encoder, "TEXTS", 2)
    domains.embed([("medical", f"text {number}") for number in range(5)])
    assert [call for call in replicas.calls if call[0] == "encode"] == [("encode", 2), ("encode", 2), ("encode", 1)]


def test_a_call_is_made_again_when_its_replica_dies(domains, replicas, monkeypatch):
    monkeypatch.setattr(remote_encoder, "PAUSE", 0)
    domains.load("medical")
    replicas.deaths = remote_encoder.TRIES - 1
    assert len(domains.embed([("medical", "loan")])[0])
    replicas.deaths = remote_encoder.TRIES
    with pytest.raises(ServerError, match="no replica encodes: ActorDiedError"):
        domains.embed([("medical", "mortgage")])


def test_another_runtime_than_expected_is_refused(domains, replicas, monkeypatch):
    monkeypatch.setattr(remote_encoder, "chosen_variant", lambda *_: "openvino")
    with pytest.raises(ServerError, match="medical@1 runs on torch where it is encoded, but openvino was expected"):
        domains.load("medical")


def test_another_base_model_or_registry_is_refused(domains, replicas):
    version = domains.registered("medical@1")
    name = EncoderName.of(version, domains.base, Settings())
    for changed, said in (({"identity": "0"}, "is not the base model"), ({"artifact": "0"}, "has another medical@1")):
        with pytest.raises(ServerError, match=said):
            name.model_copy(update=changed).load(replicas.store, plugins(), Settings(device="cpu"))


def test_an_encoder_that_does_not_say_how_it_reads_is_asked_for_every_text(replicas):
    encoder = RemoteEncoder(RemoteEncoders(replicas), "model", EncoderFacts(None, None))
    assert (encoder.key("a"), encoder.unread("a"), encoder.truncates("a")) == ("a", 0.0, False)
    assert not hasattr(encoder, "runtime")
