"""Lets candidates decide what champions answered, unseen, and writes both to a log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timezone

from router_plugin.decision import Decision
from router_plugin.router import DomainRouter
from router_plugin.server.batcher import Batcher, Work
from router_plugin.server.jsonl_file import JsonlFile
from router_plugin.server.versions.report import Row, Side
from router_plugin.server.versions.trials import Trial, Trials

log = logging.getLogger(__name__)

LEAST_FREE = 0.5
"""Nothing is decided in the shadow while a larger fraction of the queue is taken."""


class Shadow:
    """Decides again with candidates, where there is time, behind all that somebody waits for."""

    def __init__(self, router: DomainRouter, trials: Trials, batcher: Batcher, file: JsonlFile) -> None:
        """
        Args:
            router: that decides.
            trials: of candidates.
            batcher: in front of the router's models.
            file: the log.
        """
        self._router, self._trials, self._batcher, self._file = router, trials, batcher, file
        self._running: set[asyncio.Task[None]] = set()

    def follow(self, decisions: Sequence[Decision]) -> None:
        """Decide again what champions have decided, later."""
        for trial in self._trials.in_shadow() if self._batcher.load() < LEAST_FREE else ():
            task = asyncio.get_running_loop().create_task(self._compare(trial, decisions))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _compare(self, trial: Trial, decisions: Sequence[Decision]) -> None:
        work = Work(
            "shadow",
            ("shadow", id(trial.state)),
            lambda batch: self._router.route_many(batch, state=trial.state),
        )
        try:
            found = await self._batcher.run(work, [each.query for each in decisions], bulk=True)
            now = datetime.now(timezone.utc).isoformat(timespec="seconds")
            await self._file.append(
                Row(
                    time=now,
                    query=champion.query,
                    candidate_of=trial.domain,
                    candidate_version=trial.version,
                    champion=Side.of(champion),
                    candidate=Side.of(candidate),
                ).model_dump()
                for champion, candidate in zip(decisions, found, strict=True)
            )
        except Exception as error:  # noqa: BLE001  nobody waits for it
            log.warning("the candidate %s could not decide in the shadow: %s", trial.version, error)

    async def close(self) -> None:
        """Wait for what has begun, and close the log."""
        await asyncio.gather(*self._running)
        self._file.close()
