"""What the endpoints answer with: a router behind a batcher, and the reload that keeps it on the champions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from registry import DomainRouterError, ModelVersion
from router_plugin.conversations import Turn
from router_plugin.decision import Decision
from router_plugin.explanation import Explanation
from router_plugin.router import DomainRouter
from router_plugin.server.batcher import Batcher, Work
from router_plugin.server.errors import LimitError
from router_plugin.server.feedback import FeedbackFile
from router_plugin.server.options import ServerOptions
from router_plugin.server.reporting.metrics import Metrics
from router_plugin.server.spaces import Embedded, Space, Spaces
from router_plugin.serving.scores import Scored
from router_plugin.serving.state import ServingState
from router_plugin.tuning.explainer import explain

log = logging.getLogger(__name__)

RETRY = 10.0
"""Seconds until champions that could not be loaded are tried again, if they are still the same."""


class Service:
    """A router as a server uses it, from one event loop.

    Attributes:
        router: that decides.
        options: of the server.
        feedback: file of feedback; None where none is taken.
        metrics: of what it does.
        batcher: in front of the router's models.
        spaces: for embeddings.
        ready: whether the models are loaded, and requests are taken.
        fault: why the registry's present champions are not served; None where they are.
    """

    def __init__(
        self, router: DomainRouter, options: ServerOptions, threads: int, feedback: FeedbackFile | None = None
    ) -> None:
        """
        Args:
            router: open; closed with the service.
            options: of the server.
            threads: batches that run at the same time.
            feedback: likewise closed; None where none is taken.
        """
        self.router, self.options, self.feedback, self.metrics = router, options, feedback, Metrics()
        self.batcher = Batcher(threads, options.batch_tokens, options.max_queue, self.metrics.count_batch)
        self.spaces = Spaces()
        self.ready = False
        self.fault: str | None = None
        self.metrics.set_serving({}, self.versions())

    def versions(self) -> dict[str, str]:
        """The model that serves each domain."""
        domains = self.router.served_domains
        return {name: domains.version(name) for name in domains.names}

    async def prepare(self) -> None:
        """Load all that queries need. What fails is reported, and the server does not become ready."""
        try:
            await asyncio.to_thread(self.router.preload, self.router.domains)
            self.ready = True
        except Exception as error:
            self.fault = str(error)
            log.error("the models cannot be loaded", exc_info=error)

    async def follow(self) -> None:
        """Serve with the registry's champions, for ever: look for promoted versions now and then."""
        failed: dict[str, ModelVersion] | None = None
        again = 0.0
        while True:
            await asyncio.sleep(self.options.reload_s)
            wanted: dict[str, ModelVersion] | None = None
            try:
                wanted = await asyncio.to_thread(self.router.served_domains.promoted)
                if wanted != failed or time.monotonic() >= again:
                    await self._take_champions()
                    failed = None
            except Exception as error:  # noqa: BLE001  the old models go on serving
                self._report(error)
                failed, again = wanted, time.monotonic() + RETRY

    async def _take_champions(self) -> None:
        before = self.versions()
        changed = await asyncio.to_thread(self.router.reload)
        self.fault = None
        if changed:
            self.metrics.set_serving(before, self.versions())
            log.info("serving %s", self.versions())

    def _report(self, error: Exception) -> None:
        fault = str(error) if isinstance(error, DomainRouterError) else type(error).__name__
        if fault != self.fault:
            self.metrics.reload_failures.inc()
            log.error("the present champions cannot be served, the earlier ones are: %s", fault)
        self.fault = fault

    async def embed(
        self, name: str, texts: Sequence[str], dimensions: int | None = None
    ) -> tuple[Space, list[Embedded]]:
        """Texts in the space of a model, and that space; see :meth:`Spaces.find` for the arguments and errors."""
        self.check(texts)
        space = await self.spaces.find(self.router.served_domains, name, dimensions)
        return space, await self.batcher.run(space.work, texts)

    async def classify(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """The probability of every domain for each text."""
        self.check(texts)
        state = self.router.state
        return await self._with_state("classify", state, lambda batch: _probabilities(state, batch), texts)

    async def decide(self, texts: Sequence[str]) -> list[Decision]:
        """Decisions about texts, all by the same models."""
        self.check(texts)
        state = self.router.state
        work = lambda batch: self.router.route_many(batch, state=state)  # noqa: E731
        found: list[Decision] = await self._with_state("route", state, work, texts)
        for decision in found:
            self._note(decision)
        return found

    async def decide_conversation(self, text: str, history: Iterable[Turn]) -> Decision:
        """A decision about the last message of a conversation."""
        said = list(history)
        self.check([text, *(str(turn.get("content", "")) for turn in said)])
        work = Work("route", object(), lambda batch: [self.router.route(each, said) for each in batch])
        (decision,) = await self.batcher.run(work, [text])
        self._note(decision)
        return decision  # type: ignore[no-any-return]

    def _note(self, decision: Decision) -> None:
        self.metrics.count_decision(decision)
        if self.options.log_queries:
            said = {"query": decision.query, "route": decision.route, "domain": decision.domain}
            log.info("decision", extra={"fields": said})

    async def score(self, texts: Sequence[str]) -> list[Scored]:
        """What decisions about texts are made from."""
        self.check(texts)
        state = self.router.state
        return await self._with_state("score", state, lambda batch: self.router.examine(batch, state=state), texts)

    async def explain(self, text: str, limit: int) -> Explanation:
        """Why a text gets its route."""
        self.check([text])
        work = Work("explain", object(), lambda batch: [explain(self.router, each, limit) for each in batch])
        return (await self.batcher.run(work, [text]))[0]  # type: ignore[no-any-return]

    async def _with_state(
        self, name: str, state: ServingState, answer: Callable[[Sequence[str]], Sequence[Any]], texts: Sequence[str]
    ) -> list[Any]:
        """Answers by one state of the router; requests with the same state share batches."""
        return await self.batcher.run(Work(name, (name, id(state)), answer), texts)

    def check(self, texts: Sequence[str]) -> None:
        """Refuse what is too much for one request.

        Raises:
            LimitError: too many texts or characters.
        """
        most, characters = self.options.max_texts, self.options.max_characters
        if len(texts) > most:
            raise LimitError(f"{len(texts)} texts in a request: expected at most {most}")
        if sum(map(len, texts)) > characters:
            raise LimitError(f"the texts of a request have together at most {characters} characters")

    def close(self) -> None:
        """Let the threads and the router end."""
        self.ready = False
        self.batcher.close()
        self.router.close()
        if self.feedback:
            self.feedback.close()


def _probabilities(state: ServingState, texts: Sequence[str]) -> list[dict[str, float]]:
    classifier = state.served.classifier
    rows = classifier.classify([text.strip() for text in texts]).probabilities
    return [dict(zip(classifier.domains, row.tolist(), strict=True)) for row in rows]
