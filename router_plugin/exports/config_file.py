"""The file of a configuration: that it may be written, and its text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from registry import OutputError
from router_plugin.serving.domains import ServedDomains

CONFIG = "config.yaml"
"""Its name in the folder of an export."""


def check_target(out: Path, command: str, overwrite: bool) -> None:
    """Make sure that a configuration can be written to a folder.

    Args:
        out: the folder.
        command: below ``domain-router export`` whose earlier output may be replaced.
        overwrite: whether it may.

    Raises:
        OutputError: there is one, and it is not ours or may not be replaced.
    """
    path, written = out / CONFIG, _written(command)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            ours = file.read(len(written)) == written
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"`out` {path}: cannot be read: {error.strerror}") from error
    if not ours:
        raise OutputError(f"`out` {path}: exists already and is not an earlier output: choose another folder")
    if not overwrite:
        raise OutputError(f"`out` {path}: exists already: choose another folder, or set `overwrite`")


def config_text(content: dict[str, Any], command: str, host: str, domains: ServedDomains) -> str:
    """The configuration as YAML, under a line that says what wrote it, for which host, and from which versions."""
    versions = ", ".join(f"{name} {domains.version(name)}" for name in domains.names)
    body = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"{_written(command)} for {host}, from {json.dumps(versions)}.\n{body}"


def _written(command: str) -> str:
    return f"# Written by 'domain-router export {command}'"


class _Dumper(yaml.SafeDumper):
    """YAML without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
