"""The models that answer queries, as options name them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from router_plugin.errors import ExportError

DEFAULT = "general-model"
"""Answers all queries for which no other model is named."""

PLACEHOLDER = "127.0.0.1:8000"
"""Where a model is said to answer, until the user says where."""


def read_model_refs(given: Sequence[str], names: Collection[str], kind: str) -> tuple[str, dict[str, str]]:
    """The model for queries without one of their own, and those that are named for some of the queries.

    Args:
        given: each ``MODEL``, or ``NAME=MODEL``.
        names: that may have a model of their own.
        kind: what they are names of, ``route`` or ``domain``.

    Raises:
        ExportError: a text is neither, or there are two models for all others.
    """
    defaults, models = [], {}
    for text in given:
        name, named, model = text.rpartition("=")
        if not model or (named and name not in names):
            raise ExportError(f"`model_refs` {text!r}: expected NAME, or {kind.upper()}=NAME with the name of a {kind}")
        if named:
            models[name] = model
        else:
            defaults.append(model)
    if len(defaults) > 1:
        raise ExportError(f"`model_refs` {defaults[1]}: {defaults[0]} answers the queries of all other {kind}s already")
    return (defaults or [DEFAULT])[0], models
