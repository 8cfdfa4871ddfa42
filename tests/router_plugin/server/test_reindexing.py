"""An index is filled with the vectors that a server makes, and with those of one version alone."""

import numpy as np
import pytest

pytest.importorskip("qdrant_client")

from router_plugin import DomainRouter, DomainRouterClient, ServedDomains
from router_plugin.errors import ReindexError
from router_plugin.reindexing.embedders import ServerEmbedder
from router_plugin.reindexing.moving import backfill
from tests.router_plugin.reindexing.samples import TEXTS, qdrant_index
from tests.router_plugin.server.conftest import running, wait_for
from training import publish


def test_a_server_embeds_the_entries_as_the_version_it_names(store, other_legal, tmp_path):
    publish(other_legal, store, force=True)
    index = qdrant_index(tmp_path / "qdrant", fill=True)
    with running(DomainRouter([], tmp_path / "registry")) as (url, _), DomainRouterClient(url) as client:
        embedder = ServerEmbedder(client, "legal@2")
        assert backfill(index, embedder) == len(TEXTS)
    index.cut_over()
    with ServedDomains(tmp_path / "registry") as domains:
        version = domains.registered("legal@2")
        vector = domains.with_version(version).embed([("legal", TEXTS[3])])[0]
    assert index.state().serving == embedder.model and embedder.model.startswith("legal@2")
    assert index.search(np.asarray(vector), 1, upcoming=False)[0].id == 3


def test_a_promotion_in_the_middle_of_a_move_is_not_mixed_in(store, other_legal, tmp_path):
    index = qdrant_index(tmp_path / "qdrant", fill=True)
    with running(DomainRouter([], tmp_path / "registry")) as (url, _), DomainRouterClient(url) as client:
        embedder = ServerEmbedder(client, "legal")
        index.prepare(embedder.model, embedder.dimension)
        publish(other_legal, store, force=True)
        store.promote("legal@2")
        wait_for(lambda: client.embed("legal", ["text"]).space != embedder.model)
        with pytest.raises(ReindexError, match=r"the server embeds by legal@2.* now, and not by legal@1"):
            backfill(index, embedder)
    assert index.state().missing == len(TEXTS)
