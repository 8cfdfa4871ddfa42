"""The page of all hooks, made of their specifications."""

from __future__ import annotations

import inspect

from router_plugin import hookspecs

INTRODUCTION = """# Hooks

What a plugin may implement, each with its signature. This page is generated from `router_plugin/hookspecs.py`.
[Write a plugin](../plugins.md) shows how. An implementation may leave out parameters that it does not need.
"""


def page() -> str:
    """The page, in Markdown."""
    hooks = [hook for hook in vars(hookspecs).values() if hasattr(hook, f"{hookspecs.PROJECT}_spec")]
    return "\n".join([INTRODUCTION, *map(_section, hooks)])


def _section(hook: object) -> str:
    name, signature = hook.__name__, inspect.signature(hook)  # type: ignore[attr-defined, arg-type]
    first = getattr(hook, f"{hookspecs.PROJECT}_spec")["firstresult"]
    answers = "The first answer that is not `None` counts." if first else "Every plugin is called."
    parameters = "".join(f"    {parameter},\n" for parameter in signature.parameters.values())
    code = f"def {name}(\n{parameters}) -> {signature.return_annotation}: ...".replace("'", "")
    return f"## {name}\n\n{inspect.getdoc(hook)} {answers}\n\n```python\n{code}\n```\n"
