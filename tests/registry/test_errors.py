"""Every error hangs below one root, where the tree at the head of registry.errors says."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import registry.errors
from registry import DomainRouterError

ROOT = Path(__file__).parents[2]
_LINE = re.compile(r"^( +)(\w+Error)(?: \(and (\w+)\))?(?: +([\w.]+))?$", re.MULTILINE)


def tree(kind: type[DomainRouterError], depth: int = 0) -> Iterator[tuple[int, str, str | None, str]]:
    """Depth, name, the other base and the module of an error and of those below it."""
    other = next((base.__name__ for base in kind.__bases__ if base.__module__ == "builtins" and depth), None)
    yield depth, kind.__name__, other, kind.__module__
    for below in kind.__subclasses__():
        if below.__module__.split(".")[0] in ("registry", "training", "router_plugin"):
            yield from tree(below, depth + 1)


def test_the_tree_is_as_drawn() -> None:
    for package in ("registry", "training", "router_plugin"):
        for path in (ROOT / package).rglob("*.py"):
            if re.search(r"^class \w+Error\(", path.read_text(encoding="utf-8"), re.MULTILINE):
                importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    drawn = {
        ((len(indent) - 4) // 2, name, other or None, module or "registry.errors")
        for indent, name, other, module in _LINE.findall(registry.errors.__doc__ or "")
    }
    assert drawn == set(tree(DomainRouterError))
