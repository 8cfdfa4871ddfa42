"""Our server, a stub of an LLM, and LiteLLM's proxy between them with the configuration that is exported for it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests import warm
from tests.conftest import ROOT
from tests.server_process import ROUTES, ready, started, wait_for
from tests.training.llm.chat_server import ChatServer, chat_server

ENVIRONMENT = ROOT / ".hosts" / "litellm"
KEY = "DOMAIN_ROUTER_KEY"
MODELS = {"symptoms": "medical-model", "medicines": "medical-model", "borrowing": "finance-model"}
"""The models of some routes; ``general-model`` answers the queries of the others."""


class Proxied(NamedTuple):
    """A proxy that answers.

    Attributes:
        url: of the proxy.
        headers: for the proxy.
        server: the process of our server.
        server_url: of our server.
        server_headers: for our server.
        llm: that all models of the proxy are.
        log: of the proxy.
    """

    url: str
    headers: dict[str, str]
    server: subprocess.Popen[bytes]
    server_url: str
    server_headers: dict[str, str]
    llm: ChatServer
    log: Path


@pytest.fixture(scope="session")
def environment():
    """The commands of LiteLLM's environment."""
    if not (ENVIRONMENT / ".installed").is_file():
        pytest.skip("LiteLLM is not installed: run `make test-hosts`, which gives it an environment of its own")
    return ENVIRONMENT / "bin"


@pytest.fixture(scope="session")
def isolated(tmp_path_factory):
    """Environment variables of LiteLLM: nothing of the user's, and nothing fetched."""
    home = str(tmp_path_factory.mktemp("litellm-home"))
    return {"PATH": os.environ["PATH"], "HOME": home, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "INFO"}


def domain_router(*arguments):
    """Run our command; returns what it printed."""
    command = [str(warm.command("domain-router")), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def proxied(environment, isolated, served, tmp_path_factory):
    """The proxy, over a server with keys."""
    folder = tmp_path_factory.mktemp("litellm")
    keys = folder / "keys.json"
    added = domain_router("keys", "add", "litellm", "--file", keys, "--scope", "route", "--scope", "embed", "--json")
    key = json.loads(added)["key"]
    refs = [f"--model-ref={route}={model}" for route, model in MODELS.items()]
    with (
        chat_server(lambda body: f"I am {body['model']}.") as llm,
        started(folder, served, "--keys", str(keys)) as (server, server_url),
    ):
        given = ["--server", server_url, "--registry", served, *ROUTES, *refs, "--key-variable", KEY]
        domain_router("export", "litellm", *given, "--out", folder / "exported")
        config = folder / "exported" / "config.yaml"
        config.write_text(config.read_text().replace("http://127.0.0.1:8000/v1", llm.url))
        assert key not in config.read_text()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [environment / "litellm", "--config", config, "--host", "127.0.0.1", "--port", str(port)]
        env = {**isolated, KEY: key, "LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(32)}"}
        with (folder / "proxy.log").open("w") as log:
            proxy = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=env)
        headers, ours = ({"Authorization": f"Bearer {each}"} for each in (env["LITELLM_MASTER_KEY"], key))
        url = f"http://127.0.0.1:{port}"
        found = Proxied(url, headers, server, server_url, ours, llm, folder / "proxy.log")
        try:
            wait_for(lambda: ready(server_url))
            wait_for(lambda: alive(found, proxy), 300)
            yield found
        finally:
            proxy.terminate()
            proxy.wait()


def alive(found, proxy):
    """Whether the proxy answers."""
    assert proxy.poll() is None, found.log.read_text()
    try:
        return httpx.get(f"{found.url}/health/liveliness", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
