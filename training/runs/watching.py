"""Who hears of a training run while it goes on: nobody, or a server."""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from registry.errors import OutputError
from registry.shared.outputs import write_atomically
from training.runs.sending import Sender

FILE = "reported.json"
"""Name in the folder of a run of what was reported, by which a resumed run goes on with it."""
PAUSE = 1.0
"""Seconds between two looks at the loss: each waits for the device."""
SAVED_EVERY = 10.0
"""Seconds after which what was reported is written down again."""
MAX_POINTS = 400
"""Points of the loss of an iteration; of more, every other one is left out."""
MAX_CURVES = 50
MAX_STATES = 1000


class Watcher:
    """Hears of a run. Every method returns at once and never fails; here, none does anything."""

    def doing(self, what: str) -> None:
        """What the run does now."""

    def stepped(self, iteration: str, step: int, steps: int, loss: Callable[[], float]) -> None:
        """An optimizer step was made.

        Args:
            iteration: its name.
            step: number of steps that were made of it.
            steps: number of all steps of it.
            loss: the sum of the losses of all steps so far; called only now and then, since it waits for the device.
        """

    def measured(self, name: str, dev: Mapping[str, float]) -> None:
        """A state of the model was measured on dev."""

    def finished(self, report: Mapping[str, Any], page: Path) -> None:
        """The run has finished.

        Args:
            report: the content of ``report.json``.
            page: file of the report page.
        """


NOBODY = Watcher()


@contextmanager
def watched(url: str | None, folder: Path, facts: Mapping[str, Any], seconds: Callable[[], float]) -> Iterator[Watcher]:
    """What hears of a run within the block, and of the error that ends it.

    Args:
        url: of a server; None for nobody.
        folder: of the run.
        facts: what is known of it from the start.
        seconds: spent so far.
    """
    if url is None:
        yield NOBODY
        return
    live = LiveReport(url, folder, facts, seconds)
    try:
        yield live
    except BaseException as error:
        live.ended("failed" if isinstance(error, Exception) else "interrupted", str(error))
        raise
    finally:
        live.close()


class LiveReport(Watcher):
    """Sends the whole state of a run to a server whenever it changes, at most once a second."""

    def __init__(self, url: str, folder: Path, facts: Mapping[str, Any], seconds: Callable[[], float]) -> None:
        """See :func:`watched`."""
        self._file, self._seconds = folder / FILE, seconds
        earlier = self._earlier()
        self._id = earlier.get("id") or secrets.token_hex(16)
        self._state: dict[str, Any] = {
            **facts,
            "losses": earlier.get("losses", []),
            "measured": earlier.get("measured", []),
            "state": "running",
            "step": None,
        }
        self._since = ("", 0, 0.0)
        self._looked = self._saved = -math.inf
        self._sender = Sender(url, self._id)
        self.doing("starting")

    def doing(self, what: str) -> None:
        """See :meth:`Watcher.doing`."""
        self._state |= {"doing": what, "step": None}
        self._changed()

    def stepped(self, iteration: str, step: int, steps: int, loss: Callable[[], float]) -> None:
        """See :meth:`Watcher.stepped`."""
        now = time.monotonic()
        if now - self._looked < PAUSE and step < steps:
            return
        self._looked, total = now, loss()
        self._state["step"] = {"iteration": iteration, "step": step, "steps": steps}
        known, since, earlier = self._since
        if known != iteration:
            since, earlier = 0, 0.0
        if known == iteration or not self._curve(iteration):  # else it goes on with what another process began
            mean = (total - earlier) / max(step - since, 1)
            self._add_loss(iteration, step, mean if math.isfinite(mean) else None)
        self._since = (iteration, step, total)
        self._changed(save=now - self._saved >= SAVED_EVERY)

    def measured(self, name: str, dev: Mapping[str, float]) -> None:
        """See :meth:`Watcher.measured`."""
        others = [each for each in self._state["measured"] if each["name"] != name]
        self._state["measured"] = [*others, {"name": name, "dev": dict(dev)}][-MAX_STATES:]
        self._changed()

    def finished(self, report: Mapping[str, Any], page: Path) -> None:
        """See :meth:`Watcher.finished`."""
        self._state["report"] = dict(report)
        self.ended("finished")
        with suppress(OSError):
            self._sender.send("/page", _json({"html": page.read_text(encoding="utf-8")}))

    def ended(self, state: str, error: str = "") -> None:
        """The run has ended: with ``finished``, ``failed`` or ``interrupted``."""
        self._state |= {"state": state, "error": error[:2000], "doing": "", "step": None}
        self._changed(save=False)

    def close(self) -> None:
        """Wait a few seconds for what is not sent yet."""
        self._sender.close()

    def _add_loss(self, iteration: str, step: int, loss: float | None) -> None:
        curve = self._curve(iteration)
        if curve is None:
            curve = {"iteration": iteration, "steps": [], "losses": []}
            self._state["losses"] = [*self._state["losses"], curve][-MAX_CURVES:]
        kept = sum(each < step for each in curve["steps"])  # what was trained before a crash is trained again
        points = [*zip(curve["steps"][:kept], curve["losses"][:kept], strict=True), (step, loss)]
        if len(points) > MAX_POINTS:
            points = [*points[:-1:2], points[-1]]
        curve["steps"], curve["losses"] = map(list, zip(*points, strict=True))

    def _curve(self, iteration: str) -> dict[str, Any] | None:
        return next((each for each in self._state["losses"] if each["iteration"] == iteration), None)

    def _changed(self, *, save: bool = True) -> None:
        self._state["seconds"] = round(self._seconds(), 1)
        self._sender.send("", _json(self._state))
        if save:
            self._saved = time.monotonic()
            kept = {"id": self._id, **{name: self._state[name] for name in ("losses", "measured")}}
            with suppress(OutputError):  # the run itself reports a full disk
                write_atomically(self._file, json.dumps(kept))

    def _earlier(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _json(value: Mapping[str, Any]) -> bytes:
    """JSON as every server reads it: no halves of characters."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
