"""What cannot be deployed is refused in one line, before a replica is started."""

from __future__ import annotations

import socket

import pytest

from router_plugin import Settings, SettingsError
from router_plugin.deployment.deployed import SERVED_WITH, Deployed
from router_plugin.deployment.options import RayOptions
from router_plugin.server.options import ServerOptions
from tests.conftest import EXAMPLES

ROUTES = EXAMPLES / "routes.yaml"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"server": {"traffic": "a.db"}}, "`traffic` cannot be used on Ray"),
        ({"server": {"console": True}}, "`console` cannot be used on Ray"),
        ({"server": {"port": 0}}, "`port` 0 cannot be used on Ray"),
        ({"settings": {"device": "cuda"}}, "`device` cannot be used on Ray: `encoder_gpus` says"),
        ({"ray": {"replicas": 3, "max_replicas": 2}}, "`max_replicas` 2: expected at least the 3 of `replicas`"),
        ({"ray": {"replica": 3}}, "unknown option `replica`"),
        ({"host": "x"}, "unknown option `host`"),
    ],
)
def test_what_replicas_cannot_have_is_refused(given, said):
    with pytest.raises(SettingsError, match=said):
        Deployed(routes=[ROUTES], **given)


def test_the_pages_for_people_are_not_served():
    assert not Deployed(routes=[ROUTES], server=ServerOptions()).server.console
    assert set(SERVED_WITH) <= ServerOptions.model_fields.keys()


def test_what_is_deployed_is_found_from_any_folder(cli, served, monkeypatch):
    asked = []
    monkeypatch.setattr("router_plugin.deployment.running.deploy", lambda deployed, *_, **__: asked.append(deployed))
    monkeypatch.chdir(served.parent)
    status, _, said = cli(
        "deploy", "--ray", "auto", "--registry", served.name, "--routes", ROUTES, "--keys", "keys.json"
    )
    assert status == 0, said
    assert asked[0].registry == str(served) and asked[0].server.keys == served.parent / "keys.json"


def test_encoders_run_on_gpus_only_where_they_have_some():
    with_gpus = Deployed(routes=[ROUTES], settings=Settings(backend="auto"), ray=RayOptions(encoder_gpus=0.5))
    assert (with_gpus.routing().backend, with_gpus.encoding().device) == ("torch", "cuda")
    without = Deployed(routes=[ROUTES])
    assert without.routing().device == without.encoding().device == "cpu"


def test_numbers_of_replicas_are_fixed_or_bounds_of_the_autoscaler():
    options = RayOptions(encoder_replicas=2, max_encoder_replicas=5)
    assert options.scaling("replicas", 4) == {"num_replicas": 1}
    bounds = options.scaling("encoder_replicas", 4)["autoscaling_config"]
    assert bounds == {"min_replicas": 2, "max_replicas": 5, "target_ongoing_requests": 4}


def test_a_cluster_that_does_not_answer_ends_the_command_with_one_line(cli, served):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    given = ("--registry", served, "--routes", ROUTES)
    status, _, said = cli("deploy", "--ray", f"127.0.0.1:{port}", *given)
    assert (status, said.count("\n")) == (2, 1)
    assert f"the Ray cluster 127.0.0.1:{port} does not answer: Connection refused" in said


def test_an_address_that_others_reach_needs_keys(cli, served):
    status, _, said = cli("deploy", "--ray", "local", "--registry", served, "--routes", ROUTES, "--host", "0.0.0.0")
    assert status == 2 and "others can reach this address" in said


def test_without_ray_the_extra_is_named(cli, served, monkeypatch):
    monkeypatch.setattr("router_plugin.cli.opening.find_spec", lambda name: None if name == "ray" else object())
    status, _, said = cli("deploy", "--ray", "local", "--registry", served, "--routes", ROUTES)
    assert status == 2 and "pip install 'domain-router[ray]'" in said
