"""The command ``serve`` as an operator runs it: several processes, stopped and killed, and its mistakes."""

from __future__ import annotations

import gzip
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import boto3
import httpx
import pytest

from registry import Registry
from router_plugin.server.traffic.traffic_file import TrafficFile
from tests.registry import servers
from tests.router_plugin.server.test_traffic import texts, total
from tests.server_process import ROUTES, ready, started, wait_for
from training import publish

COLD = [sys.executable, "-c", "from router_plugin.cli import main; main()"]


@pytest.fixture
def remote(s3, tiny_models, tmp_path, monkeypatch):
    """The URL of a registry whose artifacts are in an S3, and that S3's bucket."""
    url = f"sqlite:///{tmp_path}/registry.db?artifacts=s3://{servers.BUCKET}/{tmp_path.name}"
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "publisher"))
    with closing(Registry.open(url)) as registry:
        for model in tiny_models.values():
            publish(model, registry, force=True)
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    return url, boto3.resource("s3").Bucket(servers.BUCKET)


@pytest.mark.slow
def test_killed_processes_come_back_with_the_shared_copies_counts_add_up_and_all_drain(tmp_path, remote):
    registry, bucket = remote
    traffic = ("--traffic", str(tmp_path / "traffic.db"), "--keep-queries", "1")
    with started(tmp_path, registry, "--workers", "2", *traffic, command=COLD) as (process, url):
        wait_for(lambda: ready(url))
        bucket.objects.filter(Prefix=tmp_path.name).delete()
        children = wait_for(lambda: [int(each) for each in children_of(process.pid)])
        os.kill(children[-1], signal.SIGKILL)
        wait_for(lambda: set(children_of(process.pid)) - {str(each) for each in children})
        wait_for(lambda: all(ready(url) for _ in range(10)))  # whichever of them answers
        for number in range(20):
            assert httpx.post(f"{url}/v1/route", json={"query": f"hello {number}"}, timeout=30).status_code == 200
        counts = [
            float(line.rpartition(" ")[2])
            for line in httpx.get(f"{url}/metrics", timeout=30).text.splitlines()
            if line.startswith('domain_router_requests_total{path="/v1/route",status="200"}')
        ]
        assert sum(counts) == 20
        assert answered_while_stopped(process, url, requests=4) == [200] * 4
    file = TrafficFile(tmp_path / "traffic.db")
    assert total(file) == 20
    assert len(set(texts(file))) == 20


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123
        return [each for each in file.read().split() if b"resource_tracker" not in command_of(each)]


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return b"resource_tracker"


@pytest.mark.slow
def test_what_was_begun_is_answered_when_the_server_is_stopped(tmp_path, served):
    with started(tmp_path, served) as (process, url):
        wait_for(lambda: ready(url))
        assert answered_while_stopped(process, url) == [200]


def answered_while_stopped(process, url, requests=1):
    """The statuses of long requests that have begun when the server is stopped; it ends well."""

    def ask(_):
        body = {"model": "medical", "input": [f"{number} words " * 30 for number in range(500)]}
        return httpx.post(f"{url}/v1/embeddings", json=body, timeout=60).status_code

    with ThreadPoolExecutor(requests) as pool:
        answers = pool.map(ask, range(requests))
        wait_for(lambda: "domain_router_waiting_texts 0.0" not in httpx.get(f"{url}/metrics", timeout=30).text)
        time.sleep(0.3)  # for the others of them
        process.send_signal(signal.SIGTERM)
        found = list(answers)
    assert process.wait(30) == 0
    return found


@pytest.mark.slow
def test_options_are_read_from_a_file_and_queries_are_logged_where_it_says_so(tmp_path, served):
    (tmp_path / "serve.yaml").write_text("max_texts: 3\nmax_characters: 50\nlog_queries: true\n")
    options = ("--config", str(tmp_path / "serve.yaml"), "--max-texts", "1")
    with started(tmp_path, served, *options) as (_, url):
        wait_for(lambda: ready(url))

        def ask(*queries):
            return httpx.post(f"{url}/v1/route/batch", json={"queries": queries}, timeout=30).status_code

        assert (ask("is it safe"), ask("is", "it"), ask("x" * 51)) == (200, 422, 422)
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert [line["query"] for line in lines if line["message"] == "decision"] == ["is it safe"]


@pytest.mark.slow
def test_requests_are_answered_over_https(tmp_path, served):
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "certificate.pem")]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(["openssl", "req", *kind, *names, *files], check=True, capture_output=True)
    options = ("--tls-certificate", str(tmp_path / "certificate.pem"), "--tls-key", str(tmp_path / "key.pem"))
    with started(tmp_path, served, *options) as (_, url), httpx.Client(base_url=url, timeout=30) as stranger:
        trusted = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
        with httpx.Client(base_url=url, timeout=30, verify=trusted) as client:
            wait_for(lambda: is_ready(client))
            assert url.startswith("https://")
            assert client.post("/v1/route", json={"query": "hello"}).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.get("/health/ready")


def is_ready(client):
    try:
        return client.get("/health/ready").is_success
    except httpx.TransportError:  # it does not listen yet
        return False


class Collector(BaseHTTPRequestHandler):
    """Keeps what is sent to it."""

    sent: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.sent.append((self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.slow
def test_traces_name_the_domain_and_not_the_query(tmp_path, served, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        with started(tmp_path, served) as (process, url):
            wait_for(lambda: ready(url))
            httpx.post(f"{url}/v1/route", json={"query": "a secret question"}, timeout=30)
            httpx.post(f"{url}/v1/route", json={"query": ["another secret"]}, timeout=30)
            httpx.get(f"{url}/console/playground", params={"query": "a secret in an address"}, timeout=30)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        collector.shutdown()
    traces = b"".join(body for path, body in Collector.sent if path == "/v1/traces")
    assert b"domain_router.model_version" in traces and b"/v1/route" in traces
    assert not any(b"secret" in body for _, body in Collector.sent)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "make keys with 'domain-router keys add'"),
        (("--keys", "missing.json"), "missing.json: cannot be read"),
        (("--port", "-1"), "port"),
        (("--listen", "classify-everything=:1"), "expected classify-domains or classify-routes"),
        (("--listen", "classify-routes=here"), "expected classify-domains or classify-routes"),
        (("--host", "no.such.host.invalid", "--keys", "keys.json"), "cannot be listened on"),
        (("--feedback", "/no/such/folder/log.jsonl"), "cannot be written"),
        (("--traffic", "/no/such/folder/traffic.db"), "cannot be used"),
        (("--routes", "missing.yaml"), "missing.yaml"),
        (("--tls-certificate", "missing.pem"), "missing.pem"),
    ],
)
def test_mistakes_end_with_one_line(cli, served, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    cli("keys", "add", "one")
    status, _, error = cli("serve", "--registry", served, "--port", "0", *ROUTES, *options)
    assert status == 2, error
    assert said in " ".join(error.split())
