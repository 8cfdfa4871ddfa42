"""Starts the server: opens what it serves in each of its processes, binds its addresses, and drains at the end."""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import logging
import os
import signal
import socket
import ssl
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from router_plugin.errors import ServerError
from router_plugin.server.options import ServerOptions

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from router_plugin.router import DomainRouter
    from router_plugin.server.protection.key_file import KeyFile
    from router_plugin.server.service import Service

ROUTES_PREFIX = "/routes"
LISTENERS = {"classify-domains": "", "classify-routes": ROUTES_PREFIX}
"""Names of additional listeners, and what they put in front of the paths of requests."""

KEEP_ALIVE = 75
"""Seconds that a connection stays open without requests. Clients that keep theirs for longer lose some otherwise, as
they may send one at the moment in which it is closed."""

log = logging.getLogger(__name__)

OpenRouter = Callable[[], "DomainRouter"]


def serve(
    open_router: OpenRouter,
    options: ServerOptions,
    listeners: Mapping[str, tuple[str, int]],
    routes: Sequence[Path] = (),
) -> None:
    """Serve until the process is stopped. Requests in flight are finished first.

    Args:
        open_router: called in each process; can be pickled.
        options: of the server.
        listeners: of ``LISTENERS``, with their addresses and ports.
        routes: files that the router's routes come from, which the console changes.

    Raises:
        ServerError: an address cannot be bound, or one that others can reach is asked for without keys.
        DomainRouterError: what is to be served cannot be opened.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # batches run side by side
    _check_certificate(options)
    _check_tracing()
    with tempfile.TemporaryDirectory(prefix="domain-router-") as folder:
        _serve(open_router, options, listeners, routes, Path(folder))


def _serve(
    open_router: OpenRouter,
    options: ServerOptions,
    listeners: Mapping[str, tuple[str, int]],
    routes: Sequence[Path],
    folder: Path,
) -> None:
    """Serve, with a folder for what the processes have in common until they end."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from router_plugin.server.reporting.json_log import log_as_json

    if options.traffic is None:
        options = options.replace(traffic=folder / "traffic.db")
    sockets = _bound(options, listeners)
    ports = {each.getsockname()[1]: LISTENERS[name] for name, each in sockets.items() if name in LISTENERS}
    build = partial(build_app, open_router, options, ports, routes)
    if options.workers == 1:
        config = server_config(build(), options)  # built here, so that a mistake ends the command, not its process
    else:
        asyncio.run(open_service(open_router, options, routes)[0].close())  # likewise
        config = server_config(build, options)
    log_as_json(options.log_queries)
    log.info("listening on %s", _announced(sockets, bool(options.tls_certificate)))
    if options.workers == 1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # uvicorn raises it again when it has drained
        uvicorn.Server(config).run(list(sockets.values()))
        return
    (folder / "metrics").mkdir()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder / "metrics")
    Multiprocess(config, list(sockets.values())).run()


def server_config(app: ASGIApp | Callable[[], ASGIApp], options: ServerOptions) -> uvicorn.Config:
    """How an application is served.

    Args:
        app: or what makes it in each of several processes.
        options: of the server.
    """
    import uvicorn

    from router_plugin.server.protection.connections import Connection

    return uvicorn.Config(
        app,
        factory=options.workers > 1,
        workers=options.workers,
        http=Connection,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=options.drain_s,
        timeout_keep_alive=KEEP_ALIVE,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
    )


def build_app(
    open_router: OpenRouter, options: ServerOptions, ports: Mapping[int, str], routes: Sequence[Path] = ()
) -> ASGIApp:
    """The application of a process.

    Raises:
        DomainRouterError: what is to be served cannot be opened.
    """
    from router_plugin.server.app import create_app
    from router_plugin.server.reporting.json_log import log_as_json

    if options.workers > 1:
        log_as_json(options.log_queries)
    service, keys = open_service(open_router, options, routes)
    return create_app(service, keys, ports)


def open_service(
    open_router: OpenRouter, options: ServerOptions, routes: Sequence[Path] = ()
) -> tuple[Service, KeyFile | None]:
    """What a process answers with, and the keys of its clients; None where they need none.

    Raises:
        DomainRouterError: what is to be served cannot be opened.
    """
    from router_plugin.server.editing.route_files import RouteFiles
    from router_plugin.server.jsonl_file import JsonlFile
    from router_plugin.server.protection.key_file import KeyFile
    from router_plugin.server.runs.store import RunStore
    from router_plugin.server.service import Files, Service
    from router_plugin.server.traffic.recorder import Recorder
    from router_plugin.server.traffic.traffic_file import TrafficFile

    keys = KeyFile(options.keys) if options.keys else None
    feedback = JsonlFile(options.feedback, "feedback") if options.feedback else None
    shadow = JsonlFile(options.shadow_log, "shadow_log") if options.shadow_log else None
    traffic = Recorder(TrafficFile(options.traffic), options.keep_queries) if options.traffic else None
    known = RouteFiles(routes) if routes else None  # read before the router reads them
    runs = RunStore(options.runs, options.keep_runs) if options.runs else None
    threads = options.threads or max(1, (os.cpu_count() or 1) // options.workers)
    router = open_router()
    if known:
        known.take_over(router.state.given)
    return Service(router, options, threads, Files(feedback, shadow, traffic, known, runs)), keys


def _check_certificate(options: ServerOptions) -> None:
    """Make sure that the files for HTTPS can be used.

    Raises:
        ServerError: they cannot.
    """
    if options.tls_certificate is None:
        if options.tls_key is not None:
            raise ServerError("`tls_key` cannot be used without `tls_certificate`")
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(options.tls_certificate, options.tls_key)
    except OSError as error:  # an SSLError is one
        files = " and ".join(str(each) for each in (options.tls_certificate, options.tls_key) if each)
        raise ServerError(f"{files} cannot be used for HTTPS: {error.strerror or error}") from error


def _check_tracing() -> None:
    """Make sure that traces can be exported, where the environment asks for it.

    Raises:
        ServerError: the libraries for it are not installed.
    """
    asked = next((name for name in os.environ if name.startswith("OTEL_EXPORTER_OTLP") and "ENDPOINT" in name), None)
    if asked and importlib.util.find_spec("opentelemetry.exporter") is None:
        raise ServerError(f"${asked} is set, but what sends traces is not installed: pip install 'domain-router[otel]'")


def _bound(options: ServerOptions, listeners: Mapping[str, tuple[str, int]]) -> dict[str, socket.socket]:
    """A socket for each address, the server's own first."""
    wanted = {"": (options.host, options.port), **listeners}
    for host, _ in wanted.values():
        check_guarded(host, options.keys)
    return {name: listening(*address) for name, address in wanted.items()}


def check_guarded(host: str, keys: Path | None) -> None:
    """Make sure that an address that others can reach has keys.

    Raises:
        ServerError: it has none.
    """
    if keys is None and not _is_local(host):
        raise ServerError(
            f"`host` {host}: others can reach this address: make keys with 'domain-router keys add' and name "
            "their file with `keys`, or serve 127.0.0.1"
        )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening(host: str, port: int) -> socket.socket:
    """A socket that is bound to an address.

    Raises:
        ServerError: it cannot be bound.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.set_inheritable(True)
    except OSError as error:
        raise ServerError(f"{host}:{port} cannot be listened on: {error.strerror}") from error
    return bound


def _announced(sockets: Mapping[str, socket.socket], secure: bool) -> str:
    """The addresses as URLs."""
    scheme = "https" if secure else "http"
    return ", ".join(
        f"{scheme}://{host}:{port}{f' ({name})' if name else ''}"
        for name, each in sockets.items()
        for host, port in [each.getsockname()[:2]]
    )
