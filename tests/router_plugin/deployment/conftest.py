"""A deployment on a Ray of this machine, over the tiny domains, in place of the server that the API's tests ask."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time

import httpx
import pytest

from tests.conftest import EXAMPLES, ROOT
from tests.router_plugin.server.conftest import client as client
from tests.router_plugin.server.conftest import over_all as over_all


@pytest.fixture(scope="module")
def ray_environment():
    """Where Ray's workers find the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        yield


@pytest.fixture(scope="session")
def deployed(served, tmp_path_factory):
    """The example routes over the three domains, with a registry of their own."""
    from router_plugin import Settings
    from router_plugin.deployment.deployed import Deployed
    from router_plugin.server.options import ServerOptions

    folder = tmp_path_factory.mktemp("deployed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return Deployed(
        routes=(EXAMPLES / "routes.yaml", EXAMPLES / "legal_routes.yaml"),
        registry=str(shutil.copytree(served, folder / "registry")),
        settings=Settings(target_precision=0),
        server=ServerOptions(
            port=port, max_texts=50, max_characters=20_000, max_body_kb=100, feedback=folder / "feedback.jsonl"
        ),
    )


@pytest.fixture(scope="module")
def heard():
    """What is said while replicas start."""
    return []


@pytest.fixture(scope="module")
def serving(deployed, heard, ray_environment):
    """The URL of the deployment, and what is deployed. Others that start a cluster in this process must find none."""
    from registry.cluster.connecting import LOCAL, connected
    from router_plugin.deployment.running import cores, running

    with connected(os.environ.get("RAY_ADDRESS", LOCAL), cores(deployed)), running(deployed, heard.append):
        yield f"http://{deployed.server.host}:{deployed.server.port}", deployed


@pytest.fixture
def asked(client):
    """What is answered all the time meanwhile; each answer must be a success."""
    statuses, done = [], threading.Event()

    def ask():
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            while not done.is_set():
                statuses.append(own.post("/v1/embeddings", json={"model": "legal", "input": f"{time.time_ns()}"}))

    asking = threading.Thread(target=ask)
    asking.start()
    yield statuses
    done.set()
    asking.join()
    assert {answer.status_code for answer in statuses} == {200}
