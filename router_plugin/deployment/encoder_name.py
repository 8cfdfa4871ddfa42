"""Which encoder is meant, so that a process on another machine finds it and can tell that it is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from registry import Registry, resolve_base_model
from router_plugin.contracts import Encoder
from router_plugin.errors import ServerError
from router_plugin.plugins.manager import Plugins
from router_plugin.serving.domains import load_encoder
from router_plugin.settings import Settings

if TYPE_CHECKING:
    from registry import BaseModelFiles, ModelVersion


class EncoderName(BaseModel):
    """An encoder of a registry, or that of a base model.

    Attributes:
        version: like ``medical@3``; None for the base model's own.
        artifact: digest of the version's files.
        base: name of the base model.
        revision: of it.
        identity: digest of the base model's files.
        backend: of the settings.
    """

    model_config = ConfigDict(frozen=True)

    version: str | None
    artifact: str | None
    base: str
    revision: str | None
    identity: str
    backend: str

    @classmethod
    def of(cls, version: ModelVersion | None, base: BaseModelFiles, settings: Settings) -> EncoderName:
        """The name of what the hook ``encoder`` is called for."""
        return cls(
            version=version.name if version else None,
            artifact=version.artifact if version else None,
            base=base.name,
            revision=base.revision,
            identity=base.identity,
            backend=settings.backend,
        )

    def load(self, store: Registry, plugins: Plugins, settings: Settings) -> Encoder:
        """The encoder in this process, from files whose digests are checked.

        Args:
            store: the registry, as this machine reaches it.
            plugins: that choose the encoder.
            settings: all but the backend.

        Raises:
            ServerError: the base model or the registry of this machine is another one.
            DomainRouterError: the encoder cannot be loaded.
        """
        base = resolve_base_model(self.base, self.revision)
        if base.identity != self.identity:
            raise ServerError(f"{base.path} is not the base model {self.base} that is served: copy it to this machine")
        version = store.get(self.version) if self.version else None
        if version and version.artifact != self.artifact:
            raise ServerError(f"{store.url} has another {version.name} than is served: name one registry everywhere")
        return load_encoder(store, plugins, base, settings.replace(backend=self.backend), version)
