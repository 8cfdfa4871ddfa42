"""Compares serving configurations on one task, each in a process of its own."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL
from registry.progress import track
from router_plugin.comparison.measuring import (
    ADAPTIVE,
    ENSEMBLE,
    MULTI,
    ORACLE,
    TWO_STAGE,
    UNADAPTED,
    Configuration,
    Figures,
    measure,
)
from router_plugin.comparison.tasks import Task
from router_plugin.errors import ComparisonError, SettingsError
from router_plugin.settings import Settings, checked_settings

CONFIGURATIONS = (UNADAPTED, MULTI, TWO_STAGE, ENSEMBLE, ADAPTIVE, ORACLE)
LIBRARIES = ("router_plugin.router", "router_plugin.encoders.torch_encoder")
"""Imported before a configuration is timed."""
ENCODERS = 3
"""The most encoders that embed one question: the query cache holds that many embeddings of each."""


@dataclass(frozen=True)
class Comparison:
    """The figures of all configurations on one task."""

    configurations: list[Figures]

    def p_values(self, name: str) -> list[float]:
        """How probably chance alone makes each configuration differ as much from the best one.

        By the two-sided exact test of McNemar, 1947, on the same questions. ``oracle`` is never the best.

        Args:
            name: ``nearest_right`` or ``right``.
        """
        hits = [np.array(getattr(each, name), dtype=bool) for each in self.configurations]
        served = [found for found, each in zip(hits, self.configurations, strict=True) if each.configuration != ORACLE]
        best = max(served or hits, key=lambda found: int(found.sum()))
        return [_mcnemar(found, best) for found in hits]

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON can hold them, with p-values in place of single questions."""
        found = [asdict(each) for each in self.configurations]
        for name in ("nearest_right", "right"):
            for each, p_value in zip(found, self.p_values(name), strict=True):
                del each[name]
                each[f"{name}_p_value"] = p_value
        return {"configurations": found}


def _mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """The p-value of paired successes."""
    from scipy.stats import binomtest

    better, worse = int((first & ~second).sum()), int((second & ~first).sum())
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def compare(
    task: Task,
    registry: Path | str | None = None,
    *,
    multi: str | None = None,
    multi_registry: Path | str | None = None,
    base_model: Path | str | None = None,
    settings: Settings | None = None,
    configurations: Iterable[str] = CONFIGURATIONS,
) -> Comparison:
    """Compare serving configurations on a task, each in a process of its own.

    Args:
        task: routes and questions.
        registry: folder or URL of the registry.
        multi: the name under which the model of all domains is registered; without it, ``multi`` is left out.
        multi_registry: folder or URL of the registry that has this model; by default the same.
        base_model: encoder of the general domain.
        settings: of all configurations; each has its own strategy, and the query cache holds all questions.
        configurations: those to compare.

    Raises:
        SettingsError: a configuration is unknown, ``multi`` is needed or cannot be used.
        ComparisonError: the process of a configuration was killed.
        DomainRouterError: see :class:`router_plugin.DomainRouter`.
    """
    chosen_names = (configurations,) if isinstance(configurations, str) else tuple(configurations)
    check_configurations(chosen_names, multi, multi_registry)
    questions = len(task.questions) + len(task.fit)
    same = checked_settings(settings).replace(query_cache=ENCODERS * questions)
    strategies = {
        UNADAPTED: same.replace(strategy="single", single_domain=GENERAL),
        MULTI: same.replace(strategy="single", single_domain=multi) if multi else None,
        TWO_STAGE: same.replace(strategy="two_stage"),
        ENSEMBLE: same.replace(strategy="ensemble"),
        ADAPTIVE: same.replace(strategy="adaptive"),
        ORACLE: same.replace(strategy="two_stage"),
    }
    found = []
    for name, chosen in track(strategies.items(), "comparing"):
        if chosen and name in chosen_names:
            of = (multi_registry if name == MULTI else None) or registry
            found.append(_separately(task, Configuration(name, chosen, _text(of), _text(base_model))))
    return Comparison(found)


def _text(place: Path | str | None) -> str | None:
    return None if place is None else str(place)


def check_configurations(configurations: Collection[str], multi: str | None, multi_registry: Path | str | None) -> None:
    """Make sure that these configurations can be compared; see :func:`compare`.

    Raises:
        SettingsError: one is unknown, ``multi`` is needed or cannot be used.
    """
    if unknown := set(configurations) - set(CONFIGURATIONS):
        raise SettingsError(f"`configurations` {min(unknown)}: expected some of {', '.join(CONFIGURATIONS)}")
    if not multi and set(configurations) <= {MULTI}:
        raise SettingsError(f"nothing to compare: {MULTI!r} needs `multi`")
    if multi and MULTI not in configurations:
        raise SettingsError(f"`multi` cannot be used without `configurations` {MULTI}")
    if multi_registry and not multi:
        raise SettingsError("`multi_registry` cannot be used without `multi`")


def _separately(task: Task, configuration: Configuration) -> Figures:
    """Measured in a fresh process, so that its memory is that of the configuration."""
    try:
        with _fresh_process() as pool:
            return pool.submit(measure, task, configuration).result()
    except BrokenProcessPool as error:
        raise ComparisonError(
            f"configuration {configuration.name}: its process was killed, most likely for lack of memory: "
            "compare fewer candidates, or leave it out"
        ) from error


def _fresh_process() -> ProcessPoolExecutor:
    """On Linux, forked from a server that has imported the libraries once for all processes."""
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    context.set_forkserver_preload(list(LIBRARIES))
    return ProcessPoolExecutor(1, context, initializer=_begin, initargs=(LIBRARIES, dict(os.environ)))


def _begin(libraries: Sequence[str], environment: Mapping[str, str]) -> None:
    """Import the libraries, and end with the parent: a process whose parent is killed would work on.

    A server that was started before has the environment of that time, so the parent's is handed over.
    """
    os.environ.clear()
    os.environ.update(environment)
    for name in libraries:
        importlib.import_module(name)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
