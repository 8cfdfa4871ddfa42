"""Lets candidates decide what champions answered, unseen, and writes both to a log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timezone

from router_plugin.conversations import Turn
from router_plugin.decision import Decision
from router_plugin.router import DomainRouter
from router_plugin.server.batcher import Batcher, Work
from router_plugin.server.jsonl_file import JsonlFile
from router_plugin.server.reporting.json_log import OF_A_REQUEST
from router_plugin.server.versions.report import Row, Side
from router_plugin.server.versions.trials import Trial, Trials
from router_plugin.serving.state import ServingState

log = logging.getLogger(__name__)

LEAST_FREE = 0.5
"""Nothing is decided in the shadow while a larger fraction of the queue is taken."""


def deciding(name: str, router: DomainRouter, state: ServingState, history: Sequence[Turn] = ()) -> Work:
    """What decides texts by a state of a router.

    Args:
        name: of the work.
        router: that decides.
        state: of the router. Texts that are decided by the same share batches.
        history: earlier messages of a conversation, with which a text is read. It is a batch of its own then.
    """
    if history:
        return Work(name, object(), lambda batch: [router.route(each, history, state) for each in batch])
    return Work(name, (name, id(state)), lambda batch: router.route_many(batch, state=state))


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

    def follow(self, decisions: Sequence[Decision], history: Sequence[Turn] = ()) -> None:
        """Decide again what champions have decided, later; see :func:`deciding` for the history."""
        for trial in self._trials.in_shadow() if self._batcher.load() < LEAST_FREE else ():
            task = asyncio.get_running_loop().create_task(self._compare(trial, decisions, history))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _compare(self, trial: Trial, decisions: Sequence[Decision], history: Sequence[Turn]) -> None:
        work = deciding("shadow", self._router, trial.state, history)
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
        except Exception as error:  # nobody waits for it
            said = "the candidate %s could not decide in the shadow"
            log.warning(said, trial.version, exc_info=error, extra=OF_A_REQUEST)

    async def close(self) -> None:
        """Wait for what has begun, and close the log."""
        await asyncio.gather(*self._running)
        self._file.close()
