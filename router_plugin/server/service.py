"""What the endpoints answer with: a router behind a batcher, its champions, and candidates beside them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from opentelemetry import trace

from registry.shared.texts import clean
from router_plugin.conversations import Turn
from router_plugin.decision import Decision
from router_plugin.errors import ServerError
from router_plugin.explanation import Explanation
from router_plugin.router import DomainRouter
from router_plugin.server.batcher import Batcher, Work
from router_plugin.server.editing.route_files import RouteFiles, check_names
from router_plugin.server.errors import LimitError
from router_plugin.server.jsonl_file import JsonlFile
from router_plugin.server.options import ServerOptions
from router_plugin.server.reporting.metrics import Metrics
from router_plugin.server.runs.store import RunStore
from router_plugin.server.traffic.recorder import Recorder
from router_plugin.server.traffic.traffic_file import HOUR
from router_plugin.server.versions.champions import RETRY, Champions
from router_plugin.server.versions.shadow import Shadow, deciding
from router_plugin.server.versions.spaces import Embedded, Space, Spaces
from router_plugin.server.versions.trials import Trial, Trials, check_domain_known, read_shares
from router_plugin.serving.scores import Scored
from router_plugin.serving.state import ServingState
from router_plugin.tuning.explainer import explain

log = logging.getLogger(__name__)


class Files(NamedTuple):
    """What a server writes; None where it does not. Those that are open are closed with it.

    Attributes:
        feedback: that clients give.
        shadow: what champions and candidates decided.
        traffic: counts over time.
        routes: those of the router, which the console changes.
        runs: training runs that report.
    """

    feedback: JsonlFile | None = None
    shadow: JsonlFile | None = None
    traffic: Recorder | None = None
    routes: RouteFiles | None = None
    runs: RunStore | None = None


NO_FILES = Files()


class Decided(NamedTuple):
    """Decisions about the texts of a request.

    Attributes:
        decisions: in their order.
        canary: the candidate that decided; empty where the champions did.
    """

    decisions: list[Decision]
    canary: str


class Service:
    """A router as a server uses it, from one event loop.

    Attributes:
        router: that decides.
        options: of the server.
        feedback: file of feedback; None where none is taken.
        route_files: that the routes came from; None where that is not known.
        runs: training runs that report; None where none are kept.
        metrics: of what it does.
        traffic: counts of it over time, for all processes; None where there are none.
        batcher: in front of the router's models.
        spaces: for embeddings.
        champions: that serve.
        ready: whether the models are loaded, and requests are taken.
    """

    def __init__(self, router: DomainRouter, options: ServerOptions, threads: int, files: Files = NO_FILES) -> None:
        """
        Args:
            router: open; closed with the service.
            options: of the server.
            threads: batches that run at the same time.
            files: that it writes.

        Raises:
            ServerError: the options of a canary or a shadow are malformed, or a domain is unknown.
            RoutesError: a route is called ``none``, which answers have as the label of queries without a route.
        """
        check_names(router.state.served.routes)
        self.router, self.options, self.feedback, self.metrics = router, options, files.feedback, Metrics()
        self.traffic = files.traffic
        self.route_files = files.routes
        self.batcher = Batcher(threads, options.batch_tokens, options.max_queue, self.metrics.count_batch)
        self.runs, self.spaces = files.runs, Spaces()
        self._trials = Trials(read_shares(options.canary, router.domains), options.shadow)
        for domain in options.shadow:
            check_domain_known(domain, router.domains, "shadow")
        if (files.shadow is None) != (not options.shadow):
            raise ServerError("`shadow` and `shadow_log` are used together: give both, or none")
        self._shadow = Shadow(router, self._trials, self.batcher, files.shadow) if files.shadow else None
        self.champions = Champions(router, self._trials, self.metrics)
        self.ready = False

    async def serve(self) -> None:
        """Load all that queries need, then follow the registry and the files of routes for ever.

        What cannot be loaded is reported, and the server does not become ready before it can.
        """
        if self.traffic:
            self.traffic.start()
        while not self.ready:
            try:
                await asyncio.to_thread(self.router.preload, self.router.domains)
                await self.champions.look()
                self.ready = True
            except Exception as error:
                log.error("the models cannot be loaded", exc_info=error)
                await asyncio.sleep(RETRY)
                await self.champions.look()
        await asyncio.gather(self.champions.follow(self.options.reload_s), self._follow_routes(), self._tidy_runs())

    async def _follow_routes(self) -> None:
        """Serve what the files of routes have, and let candidates decide by the same routes."""
        state = self.router.state
        while True:
            await asyncio.sleep(self.options.reload_s)
            if self.route_files:
                await asyncio.to_thread(self.route_files.look, self.router)
            if self.router.state is not state:
                state = self.router.state
                await self.champions.look()

    async def _tidy_runs(self) -> None:
        """Delete training runs that have been kept for long enough, once an hour."""
        while self.runs:
            try:
                await asyncio.to_thread(self.runs.tidy)
            except OSError as error:
                log.error("old training runs cannot be deleted: %s", error)
            await asyncio.sleep(HOUR)

    async def embed(
        self, name: str, texts: Sequence[str], dimensions: int | None = None, state: ServingState | None = None
    ) -> tuple[Space, list[Embedded]]:
        """Texts in the space of a model, and that space.

        Args:
            name: see :meth:`Spaces.find`, also for the errors.
            texts: any number.
            dimensions: of the vectors; None for all.
            state: of the router; by default the present one.
        """
        self.check(texts)
        space = await self.spaces.find((state or self.router.state).domains, name, dimensions)
        return space, await self.batcher.run(space.work, texts)

    async def classify(self, texts: Sequence[str], state: ServingState) -> list[dict[str, float]]:
        """The probability of every domain for each text, by a state of the router."""
        self.check(texts)
        return await self._with_state("classify", state, lambda batch: _probabilities(state, batch), texts)

    async def decide(self, texts: Sequence[str], canary: str | None = None, history: Sequence[Turn] = ()) -> Decided:
        """Decisions about texts, all by the same models.

        Args:
            texts: any number; of a conversation, its last message alone.
            canary: see :meth:`Trials.chosen`.
            history: the earlier messages of that conversation.

        Raises:
            RequestError: there is no such candidate.
        """
        self.check([*texts, *(str(turn.get("content", "")) for turn in history)])
        trial = self._trials.chosen(texts[0] if texts else "", canary)
        state = trial.state if trial else self.router.state
        found: list[Decision] = await self.batcher.run(deciding("route", self.router, state, history), texts)
        if self._shadow and not trial:
            self._shadow.follow(found, history)
        return self._decided(found, trial)

    def _decided(self, decisions: list[Decision], trial: Trial | None) -> Decided:
        canary = trial.version if trial else ""
        for decision in decisions:
            self._note(decision, canary)
        return Decided(decisions, canary)

    def _note(self, decision: Decision, canary: str) -> None:
        self.metrics.count_decision(decision, canary)
        if self.traffic:
            self.traffic.count_decision(decision, canary)
        known = {"domain": decision.domain, "model_version": decision.model_version, "route": decision.route or ""}
        trace.get_current_span().set_attributes({f"domain_router.{name}": value for name, value in known.items()})
        if self.options.log_queries:
            said = {"query": decision.query, "route": decision.route, "domain": decision.domain}
            log.info("decision", extra={"fields": said})

    async def score(self, texts: Sequence[str], state: ServingState) -> list[Scored]:
        """What decisions about texts are made from, by a state of the router."""
        self.check(texts)
        return await self._with_state("score", state, lambda batch: self.router.examine(batch, state=state), texts)

    async def explain(
        self, text: str, limit: int, history: Sequence[Turn] = (), state: ServingState | None = None
    ) -> Explanation:
        """Why a text gets its route.

        Args:
            text: of a conversation, its last message.
            limit: the maximum number of nearest candidates.
            history: the earlier messages of that conversation.
            state: of the router; by default the present one.
        """
        self.check([text, *(str(turn.get("content", "")) for turn in history)])
        work = Work(
            "explain", object(), lambda batch: [explain(self.router, each, limit, history, state) for each in batch]
        )
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

    async def close(self) -> None:
        """Let the threads and the router end."""
        self.ready = False
        if self._shadow:
            await self._shadow.close()
        self.batcher.close()
        self.router.close()
        if self.feedback:
            self.feedback.close()
        if self.traffic:
            await self.traffic.close()


def _probabilities(state: ServingState, texts: Sequence[str]) -> list[dict[str, float]]:
    classifier, limit = state.served.classifier, state.settings.max_query_characters
    rows = classifier.classify([clean(text)[:limit] for text in texts]).probabilities
    return [dict(zip(classifier.domains, row.tolist(), strict=True)) for row in rows]
