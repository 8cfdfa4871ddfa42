"""What is deployed: a router, as every replica opens it for itself, and how it is served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import field_validator

from registry.paths import AS_PATH
from router_plugin.deployment.options import RayOptions
from router_plugin.errors import SettingsError
from router_plugin.server.options import ServerOptions
from router_plugin.settings import Settings
from router_plugin.tuning.opening import RouterParts

if TYPE_CHECKING:
    from router_plugin.plugins.manager import Plugins
    from router_plugin.router import DomainRouter

SERVED_WITH = (
    *("host", "port", "keys", "feedback", "threads", "canary", "shadow", "shadow_log", "max_body_kb", "max_texts"),
    *("max_characters", "max_queue", "batch_tokens", "timeout_s", "drain_s", "reload_s", "log_queries"),
)
"""Options of the server that replicas on several machines can have. Others need files that all processes write."""


class Deployed(RouterParts):
    """A router and how it is served on Ray. Paths and the registry's URL are those of the cluster's machines.

    Raises:
        SettingsError: an unknown option, or one that cannot be used on Ray.
    """

    routes: tuple[Annotated[Path, AS_PATH], ...]
    settings: Settings = Settings()
    server: ServerOptions = ServerOptions()
    ray: RayOptions = RayOptions()

    @field_validator("server")
    @classmethod
    def _can_be_replicated(cls, server: ServerOptions) -> ServerOptions:
        given = [name for name in sorted(server.model_fields_set) if name not in (*SERVED_WITH, "console")]
        if given or ("console" in server.model_fields_set and server.console):
            name = given[0] if given else "console"
            raise SettingsError(f"`{name}` cannot be used on Ray, whose replicas have no files in common: leave it out")
        if server.port == 0:
            raise SettingsError("`port` 0 cannot be used on Ray, as every machine listens on the same one: name a port")
        files = {name: getattr(server, name) for name in ("keys", "feedback", "shadow_log")}
        return server.replace(console=False, **{name: path.absolute() for name, path in files.items() if path})

    @field_validator("routes", "extra_domains", "fitted")
    @classmethod
    def _from_any_folder(cls, given: tuple[Path, ...] | Path | None) -> tuple[Path, ...] | Path | None:
        return tuple(path.absolute() for path in given) if isinstance(given, tuple) else given and given.absolute()

    @field_validator("settings")
    @classmethod
    def _runs_where_ray_says(cls, settings: Settings) -> Settings:
        if settings.device is not None:
            raise SettingsError("`device` cannot be used on Ray: `encoder_gpus` says whether encoders have a GPU")
        return settings

    def routing(self) -> Settings:
        """The settings of the router, whose process has no GPU."""
        return self.settings.replace(**({"backend": "torch"} if self.ray.encoder_gpus else {"device": "cpu"}))

    def encoding(self) -> Settings:
        """Those of the replicas that encode."""
        return self.settings.replace(device="cuda" if self.ray.encoder_gpus else "cpu")

    def open(self, plugin_manager: Plugins) -> DomainRouter:
        """The router, with plugins of the caller's.

        Raises:
            DomainRouterError: it cannot be opened.
        """
        return self.router(self.routing(), plugin_manager)
