"""Hosts of benchmarks: network namespaces with addresses of their own, on a bridge to this machine's namespace.

Needs Linux, root and `ip`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

BRIDGE, PREFIX = "dr-bridge", 24


@contextmanager
def hosts(here: str, addresses: Mapping[str, str]) -> Iterator[None]:
    """Namespaces by name, each with an address, and an address for this machine on their bridge.

    Raises:
        SystemExit: not as root.
    """
    if os.geteuid():
        raise SystemExit("only root can make network namespaces")
    _ip("link", "add", BRIDGE, "type", "bridge")
    try:
        _ip("addr", "add", f"{here}/{PREFIX}", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for name, address in addresses.items():
            _ip("netns", "add", name)
            _ip("link", "add", f"{name}-b", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"{name}-b", "master", BRIDGE, "up")
            _ip("-n", name, "addr", "add", f"{address}/{PREFIX}", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", name, "link", "set", device, "up")
        yield
    finally:
        for name in addresses:
            subprocess.run(["ip", "link", "del", f"{name}-b"], check=False)  # processes may keep the rest a while
            subprocess.run(["ip", "netns", "del", name], check=False)
        subprocess.run(["ip", "link", "del", BRIDGE], check=False)


def link(host: str, state: str) -> None:
    """Cut (`down`) or restore (`up`) the link of a host."""
    _ip("link", "set", f"{host}-b", state)


def on(host: str) -> list[str]:
    """What begins a command that runs on a host."""
    return ["ip", "netns", "exec", host]


def processes(host: str) -> list[int]:
    """The ids of a host's processes."""
    found = subprocess.run(["ip", "netns", "pids", host], check=True, capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def sent(host: str) -> int:
    """Bytes that a host has sent over its link."""
    return int(Path(f"/sys/class/net/{host}-b/statistics/rx_bytes").read_text(encoding="ascii"))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
