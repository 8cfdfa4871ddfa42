"""Turns an indexed router of the library into a domain-routed one where it stands, and back."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import Any

from semantic_router import Route as HostRoute
from semantic_router.encoders.base import FittableMixin
from semantic_router.index import BaseIndex
from semantic_router.routers import IndexedRouter
from semantic_router.routers.base import run

from router_plugin.errors import RoutesError
from router_plugin.evaluation.outcomes import default_threshold
from router_plugin.hosts.semantic_router.domain_encoder import DomainEncoder, SpaceGiven
from router_plugin.hosts.semantic_router.domain_indexed_router import DomainIndexedRouter

log = logging.getLogger(__name__)

_BEFORE = "_before_attaching"


@dataclass(frozen=True)
class _Before:
    """What a router was.

    Attributes:
        kind: its class.
        attributes: of the router.
        routes: in its index.
    """

    kind: type[IndexedRouter]
    attributes: dict[str, Any]
    routes: list[HostRoute]


def attach(
    router: IndexedRouter,
    space: SpaceGiven = None,
    *,
    index: BaseIndex | None = None,
    confidence_threshold: float | None = None,
) -> IndexedRouter:
    """Make a router embed its routes and queries in the joint space of all domains, as a :class:`DomainIndexedRouter`.

    It stays the same object, so that a ``Chain``, a ``Merge`` and all who hold it use it so. Its index is not touched:
    its routes are embedded into another one. ``top_k``, aggregation, a sparse encoder and ``alpha`` stay.

    Thresholds and calibrators were fitted to the scores of another encoder. A calibrator is fitted again to the
    labelled queries of ``fit``, as the library does when routes change, and thresholds on its probabilities stay. All
    others are dropped, and a warning names them; the default threshold of our own routers takes their place.

    Everything is made before the router is changed, so that it is as it was where anything fails. A query that is under
    way at the change may fail.

    Args:
        router: any ``IndexedRouter``, or an instance of a subclass.
        space: a joint space, or a registry, or its folder or URL; by default this machine's registry.
        index: for the joint space's vectors; by default a local one.
        confidence_threshold: in place of the router's.

    Returns:
        The router.

    Raises:
        RoutesError: the router is attached already, its routes are malformed or name an unknown domain, or the index is
            its own.
        JointSpaceError: the index holds vectors of another space.
        DomainRouterError: see :class:`router_plugin.ServedDomains`.
    """
    if isinstance(router, DomainIndexedRouter):
        raise RoutesError("the router is domain-routed already")
    if index is not None and index is router.index:
        raise RoutesError("`index`: expected another index than the router's own, which holds its encoder's vectors")
    routes = router.index.get_routes()
    encoder = DomainEncoder(space)
    try:
        made = _made(router, routes, encoder, index, confidence_threshold)
    except BaseException:
        encoder.close()
        raise
    before = _Before(type(router), dict(vars(router)), routes)
    vars(router).update({**vars(made), _BEFORE: before})
    router.__class__ = _attached(type(router))
    return router


def detach(router: IndexedRouter) -> IndexedRouter:
    """Make a router what it was before :func:`attach`: its encoder, index, routes, thresholds and calibrator.

    A warning names routes that were changed in between: the index that it had does not know of it.

    Returns:
        The router.

    Raises:
        RoutesError: the router is not attached.
    """
    before = vars(router).get(_BEFORE)
    if not isinstance(before, _Before):
        raise RoutesError("the router is not attached")
    encoder, changed = router.encoder, _changed(before.routes, router.routes)
    router.__class__ = before.kind
    vars(router).clear()
    vars(router).update(before.attributes)
    if isinstance(encoder, DomainEncoder):
        encoder.close()
    if changed:
        log.warning("routes that changed while the router was attached are as they were before: %s", ", ".join(changed))
    return router


def _made(
    router: IndexedRouter,
    routes: list[HostRoute],
    encoder: DomainEncoder,
    index: BaseIndex | None,
    confidence_threshold: float | None,
) -> DomainIndexedRouter:
    """A domain-routed router like another one."""
    sparse = router.sparse_encoder
    made = DomainIndexedRouter(
        encoder=encoder,
        routes=[route.model_copy(update={"confidence_threshold": None}) for route in routes],
        index=index,
        sparse_encoder=copy.deepcopy(sparse) if isinstance(sparse, FittableMixin) else sparse,
        alpha=router.alpha,
        top_k=router.top_k,
        confidence_threshold=confidence_threshold,
        calibrator=router.calibrator,
        refresh_interval=router.refresh_interval,
    )
    made.aggregate, made._fit_data = router.aggregate, router._fit_data
    run(made._refit())
    thresholds = _thresholds(router, routes)
    if made.calibrator is not None:
        if confidence_threshold is None:
            made.confidence_threshold = router.confidence_threshold
        made._index(routes)
        made.refresh()
    elif thresholds:
        if confidence_threshold is None:
            made.confidence_threshold = default_threshold(sum(len(route.utterances) for route in routes))
        log.warning(
            "thresholds for the scores of %s do not hold for those of %s: %s: %s holds in their place; fit them again",
            *(router.encoder.name, encoder.name, ", ".join(thresholds), made.confidence_threshold),
        )
    return made


def _attached(kind: type[IndexedRouter]) -> type[IndexedRouter]:
    """The class of an attached router."""
    if kind is IndexedRouter:
        return DomainIndexedRouter
    return type(f"Domain{kind.__name__}", (DomainIndexedRouter, kind), {})


def _thresholds(router: IndexedRouter, routes: list[HostRoute]) -> list[str]:
    """The thresholds of a router and its routes, in words."""
    own = {f"route {each.name!r}": each.confidence_threshold for each in routes}
    found = {"the router": router.confidence_threshold} | own
    return [f"{value} of {name}" for name, value in found.items() if value is not None]


def _changed(before: list[HostRoute], now: list[HostRoute]) -> list[str]:
    """Names of the routes that are new, gone, or have other utterances."""
    was, are = ({route.name: sorted(map(str, route.utterances)) for route in routes} for routes in (before, now))
    return sorted(name for name in was.keys() | are.keys() if was.get(name) != are.get(name))
