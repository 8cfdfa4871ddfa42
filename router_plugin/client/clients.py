"""The clients: the same methods, blocking and asynchronous."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

import httpx

from router_plugin.client import calls
from router_plugin.client.calls import Call, Embeddings
from router_plugin.client.errors import UnavailableError
from router_plugin.client.exchange import URL, Connection, Exchange, Outcome
from router_plugin.decision import Decision
from router_plugin.explanation import Explanation

if TYPE_CHECKING:
    from typing_extensions import Self

    from router_plugin.conversations import Turn

T = TypeVar("T")


class DomainRouterClient:
    """Asks a server that ``domain-router serve`` started. Threads may share one; close it at the end, or use ``with``.

    Every method raises, of :class:`router_plugin.ClientError`:

    - ``UnavailableError``: the server cannot be reached, has too much work, or failed.
    - ``RefusedError``: it refused what was asked for, or the key.
    - ``UnexpectedAnswerError``: what answered is not such a server.
    """

    def __init__(
        self, base_url: str = URL, *, api_key: str | None = None, timeout: float = 30.0, retries: int = 2
    ) -> None:
        """Nothing is sent yet.

        Args:
            base_url: address of the server.
            api_key: of the server's ``--keys``; by default that in ``DOMAIN_ROUTER_API_KEY``, if it is set.
            timeout: seconds for a call, retries included. The server gets it, too, and drops the work of a call that
                timed out.
            retries: maximum number of retries: after a status of 429 or 503, and where the connection fails.

        Raises:
            SettingsError: one of them cannot be used.
        """
        self._connection = Connection(base_url, api_key, timeout, retries)
        self._http = httpx.Client(**self._connection.http)

    def route(self, query: str, history: Iterable[Turn] = (), *, canary: str | None = None) -> Decision:
        """The decision about a query, or about the last message of a conversation.

        Args:
            query: text.
            history: earlier messages with ``role`` and ``content``, as in OpenAI's chat API, the latest last.
            canary: the domain whose candidate is to decide, or ``none`` for the champions; by default the server
                chooses by its shares. It refuses a domain that has no candidate or is not under test there.
        """
        return self._send(calls.route(query, history, canary))

    def route_many(self, queries: Iterable[str], *, canary: str | None = None) -> list[Decision]:
        """Decisions about queries in their order, all by the same models; see :meth:`route` for ``canary``."""
        return self._send(calls.route_many(queries, canary))

    def explain(self, query: str, limit: int = 5) -> Explanation:
        """The decision about a query, and what led to it, with up to ``limit`` of the nearest utterances."""
        return self._send(calls.explain(query, limit))

    def feedback(
        self,
        about: Decision | str,
        route: str | None = None,
        *,
        accepted: bool | None = None,
        corrected: str | None = None,
    ) -> None:
        """Record whether a decision was right. It is recorded once, or an error is raised.

        Args:
            about: the decision, or the query.
            route: that was chosen for the query, None for none; not to be given with a decision.
            accepted: whether it was right.
            corrected: the route that is right.
        """
        self._send(calls.feedback(about, route, accepted, corrected))

    def embed(self, model: str, texts: Iterable[str], dimensions: int | None = None) -> Embeddings:
        """Unit vectors of texts.

        Args:
            model: a domain, a version like ``medical@3``, or ``domain-routed``, the joint space of all domains.
            texts: at least one.
            dimensions: leading ones to keep; all by default.
        """
        return self._send(calls.embed(model, texts, dimensions))

    def classify(self, texts: Iterable[str]) -> list[dict[str, float]]:
        """The probability of every domain for each text, the most probable first."""
        return self._send(calls.classify("/classify", texts))

    def classify_routes(self, texts: Iterable[str]) -> list[dict[str, float]]:
        """The probability that each route is right, and that ``none`` is, for each text, the most probable first."""
        return self._send(calls.classify("/routes/classify", texts))

    def models(self) -> dict[str, str]:
        """Names for :meth:`embed`, each with the version that serves it; for ``domain-routed``, all of them."""
        return self._send(calls.models())

    def ready(self) -> bool:
        """Whether the server can be reached and has loaded its models."""
        try:
            self._send(calls.ready())
        except UnavailableError:
            return False
        return True

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, call: Call[T]) -> T:
        exchange = Exchange(call, self._connection)
        while True:
            try:
                outcome: Outcome = self._http.send(exchange.request(self._http))
            except httpx.RequestError as error:
                outcome = error
            pause = exchange.pause(outcome)
            if pause is None:
                return exchange.result(outcome)
            time.sleep(pause)


class AsyncDomainRouterClient:
    """:class:`DomainRouterClient` for ``asyncio``: the same options, methods and errors."""

    def __init__(
        self, base_url: str = URL, *, api_key: str | None = None, timeout: float = 30.0, retries: int = 2
    ) -> None:
        """See :class:`DomainRouterClient`."""
        self._connection = Connection(base_url, api_key, timeout, retries)
        self._http = httpx.AsyncClient(**self._connection.http)

    async def route(self, query: str, history: Iterable[Turn] = (), *, canary: str | None = None) -> Decision:
        """See :meth:`DomainRouterClient.route`."""
        return await self._send(calls.route(query, history, canary))

    async def route_many(self, queries: Iterable[str], *, canary: str | None = None) -> list[Decision]:
        """See :meth:`DomainRouterClient.route_many`."""
        return await self._send(calls.route_many(queries, canary))

    async def explain(self, query: str, limit: int = 5) -> Explanation:
        """See :meth:`DomainRouterClient.explain`."""
        return await self._send(calls.explain(query, limit))

    async def feedback(
        self,
        about: Decision | str,
        route: str | None = None,
        *,
        accepted: bool | None = None,
        corrected: str | None = None,
    ) -> None:
        """See :meth:`DomainRouterClient.feedback`."""
        await self._send(calls.feedback(about, route, accepted, corrected))

    async def embed(self, model: str, texts: Iterable[str], dimensions: int | None = None) -> Embeddings:
        """See :meth:`DomainRouterClient.embed`."""
        return await self._send(calls.embed(model, texts, dimensions))

    async def classify(self, texts: Iterable[str]) -> list[dict[str, float]]:
        """See :meth:`DomainRouterClient.classify`."""
        return await self._send(calls.classify("/classify", texts))

    async def classify_routes(self, texts: Iterable[str]) -> list[dict[str, float]]:
        """See :meth:`DomainRouterClient.classify_routes`."""
        return await self._send(calls.classify("/routes/classify", texts))

    async def models(self) -> dict[str, str]:
        """See :meth:`DomainRouterClient.models`."""
        return await self._send(calls.models())

    async def ready(self) -> bool:
        """See :meth:`DomainRouterClient.ready`."""
        try:
            await self._send(calls.ready())
        except UnavailableError:
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _send(self, call: Call[T]) -> T:
        exchange = Exchange(call, self._connection)
        while True:
            try:
                outcome: Outcome = await self._http.send(exchange.request(self._http))
            except httpx.RequestError as error:
                outcome = error
            pause = exchange.pause(outcome)
            if pause is None:
                return exchange.result(outcome)
            await asyncio.sleep(pause)
