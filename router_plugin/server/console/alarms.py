"""What an operator should look at, in words."""

from __future__ import annotations

import time

from router_plugin.server.options import ServerOptions
from router_plugin.server.service import Service
from router_plugin.server.traffic.reading import claimed, latency
from router_plugin.server.traffic.traffic_file import DAY, HOUR, MINUTE, TrafficFile

FEWEST = 100
"""Requests or decisions below which figures of traffic raise no alarm."""
PATHS = ("/classify", "/routes/classify", "/v1/route", "/v1/systemone", "/v1/decisions", "/mcp", "/mcp/vsr")
"""Where somebody waits for a decision. Requests on other paths may have any number of texts."""


def alarms(service: Service) -> list[str]:
    """What is wrong with the registry, the models, the routes files and the counts."""
    champions = service.champions
    found = (
        [f"The registry cannot be read, so the earlier versions serve: {champions.unread}"] if champions.unread else []
    )
    found += [f"{name} is not served: {why}" for name, why in champions.unloaded.items()]
    if service.route_files and service.route_files.fault:
        found.append(f"The routes files are not served as they are now: {service.route_files.fault}")
    if service.traffic and service.traffic.fault:
        found.append(f"Traffic is not counted: {service.traffic.fault}")
    return found if service.ready else ["The models are not loaded yet.", *found]


def traffic_alarms(file: TrafficFile, options: ServerOptions) -> list[str]:
    """What is unusual in the traffic: slow answers in the last hour, and queries of the last day that no domain claims.

    Args:
        file: of the counts.
        options: that say what is unusual.

    Raises:
        ServerError: the file cannot be read.
    """
    now = time.time() + MINUTE
    found = [
        f"{path} is slow: in the last hour, 5 % of {each.number} requests took {1000 * each.p95:.0f} ms or longer, "
        f"above the {options.alarm_ms:g} of --alarm-ms."
        for path, each in latency(file, now - HOUR, now).items()
        if path in PATHS and each.number >= FEWEST and 1000 * each.p95 > options.alarm_ms
    ]
    every, unclaimed = claimed(file, now - DAY, now)
    if every >= FEWEST and unclaimed > options.alarm_unclaimed * every:
        found.append(
            f"{100 * unclaimed / every:.0f} % of the last day's {every} queries belong to no domain and got no route, "
            f"above the {100 * options.alarm_unclaimed:g} % of --alarm-unclaimed: see Drift."
        )
    return found
