"""The compose file of the team's registry is what Compose reads, and names what there is. It is not run."""

from __future__ import annotations

import re

import yaml

from registry.storage.location import locate
from router_plugin.cli import app
from tests.conftest import ROOT

FILE = ROOT / "examples" / "team" / "compose.yaml"


def test_services_depend_on_services_and_mount_what_exists() -> None:
    compose = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    services = compose["services"]
    for service in services.values():
        assert {"image"} <= set(service)
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (FILE.parent / source).is_file() if source.startswith(".") else source in compose["volumes"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    for name, waited in ((a, b) for a in services for b in services[a].get("depends_on", {}).items()):
        other, condition = waited
        assert condition["condition"] != "service_healthy" or "healthcheck" in services[other], name


def test_the_registry_and_the_commands_are_ours() -> None:
    services = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
    url = services["server"]["environment"]["DOMAIN_ROUTER_REGISTRY"]
    assert services["webhooks"]["environment"]["DOMAIN_ROUTER_REGISTRY"] == url
    assert locate(re.sub(r"\$\{\w+:\?\}", "secret", url)).artifacts == "s3://models/artifacts"
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert "serve" in commands
    assert "domain-router serve" in services["server"]["command"]
    extras = set(re.findall(r"domain-router\[([\w,]+)\]", FILE.read_text(encoding="utf-8")))
    known = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{extra} = ", known, re.MULTILINE) for several in extras for extra in several.split(","))
