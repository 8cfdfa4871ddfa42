"""The public names of each package, listed once in a stub that type checkers read, are those that exist."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

PACKAGES = ("registry", "training", "router_plugin")


def listed(package: str) -> dict[str, tuple[str, str]]:
    """The names that the stub of a package has, each with its module and its name there."""
    tree = ast.parse((ROOT / package / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert all(node.level == 1 for node in imports)
    return {str(alias.asname): (f"{package}.{node.module}", alias.name) for node in imports for alias in node.names}


def test_every_package_has_a_stub() -> None:
    assert sorted(PACKAGES) == sorted(path.parent.name for path in ROOT.glob("*/__init__.pyi"))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_names_are_those_that_the_stub_lists(package: str) -> None:
    module = importlib.import_module(package)
    names = listed(package)
    assert sorted(module.__all__) == sorted(names) == sorted(set(module.__all__))
    assert set(names) <= set(dir(module))
    for name, (place, original) in names.items():
        assert name == original  # imported as itself, or a type checker does not take it for public
        assert getattr(module, name) is getattr(importlib.import_module(place), name)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_public_is_an_error(package: str) -> None:
    module: Any = importlib.import_module(package)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        module.nothing_like_it  # noqa: B018
    assert Path(module.__file__).read_text(encoding="utf-8").count("attach_stub") == 1
