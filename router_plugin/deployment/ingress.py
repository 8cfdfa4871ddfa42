"""The replicas that answer requests: each has the server's application, with stage 1 and without models."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from router_plugin.deployment.remote_encoder import RemoteEncoderPlugin, RemoteEncoders
from router_plugin.plugins.builtin import BUILT_IN
from router_plugin.plugins.manager import Plugins
from router_plugin.server.app import create_app
from router_plugin.server.reporting.json_log import log_as_json
from router_plugin.server.running import open_service

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle
    from starlette.types import ASGIApp

    from router_plugin.deployment.deployed import Deployed


ENCODERS = ("compiled-encoder", "torch-encoder")
"""The plugins whose place the replicas that encode take."""


class Ingress:
    """What Ray Serve makes a replica of."""

    def __init__(self, deployed: Deployed, encoders: DeploymentHandle[Any]) -> None:
        """
        Args:
            deployed: what is served.
            encoders: the replicas that encode.
        """
        self._deployed, self._encoders = deployed, encoders

    async def __serve_build_asgi_app__(self) -> ASGIApp:
        """The application, when its models have been loaded: a replica takes no requests before.

        Raises:
            DomainRouterError: what is to be served cannot be opened or loaded.
        """
        log_as_json(self._deployed.server.log_queries)
        service, keys = await asyncio.to_thread(open_service, self._router, self._deployed.server)
        await asyncio.to_thread(service.router.preload, service.router.domains)
        return create_app(service, keys)

    def _router(self) -> Any:
        remote = RemoteEncoderPlugin(RemoteEncoders(self._encoders))
        others = {name: plugin for name, plugin in BUILT_IN.items() if name not in ENCODERS}
        return self._deployed.open(Plugins({**others, "remote-encoder": remote}))
