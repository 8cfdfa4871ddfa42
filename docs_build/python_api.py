"""The pages of the Python packages: each public name of their stubs, with its docstring."""

from __future__ import annotations

import ast

from docs_build.links import ROOT

PACKAGES = ("training", "registry", "router_plugin")

QUIETLY = "---\nsearch:\n  boost: 0.001\n---\n"
"""Lets a search name the pages on tasks before all attributes that are called like the word."""


def page(package: str) -> str:
    """The page of a package, in Markdown with the directives of mkdocstrings."""
    stub = ast.parse((ROOT / package / "__init__.pyi").read_text(encoding="utf-8"))
    names = public_names(package)
    lines = [
        QUIETLY,
        f"# {package}",
        "",
        ast.get_docstring(stub) or "",
        "",
        "This page is generated from the docstrings.",
        "",
    ]
    for name in sorted(names, key=lambda name: (name.isupper(), name[0].isupper(), name.lower())):
        lines += [f"::: {package}.{name}", ""]
    return "\n".join(lines)


def public_names(package: str) -> list[str]:
    """The names that a package's stub exports."""
    stub = ast.parse((ROOT / package / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [statement for statement in stub.body if isinstance(statement, ast.ImportFrom)]
    return [alias.asname or alias.name for statement in imports for alias in statement.names]
