"""The built-in plugins. They answer last, so that any other plugin's answer comes first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from router_plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from registry import BaseModel, Profile
    from router_plugin.contracts import Base, DomainClassifier, Encoder
    from router_plugin.settings import Settings


class CascadeClassifierPlugin:
    """Lexical features first, the base model's embedding where they are unsure."""

    @hookimpl(trylast=True)
    def domain_classifier(self, profiles: Mapping[str, Profile], base: Base, settings: Settings) -> DomainClassifier:
        """The classifier of the registered domains and ``general``."""
        from router_plugin.cascade_classifier import CascadeClassifier
        from router_plugin.general import everyday_profile

        return CascadeClassifier(everyday_profile(base), profiles, base, precision=settings.target_precision)


class TorchEncoderPlugin:
    """SentenceTransformers on torch."""

    @hookimpl(trylast=True)
    def encoder(self, folder: Path, base: BaseModel, settings: Settings) -> Encoder:
        """The model of the folder, whole or an adapter."""
        from router_plugin.torch_encoder import TorchEncoder

        return TorchEncoder(folder, settings.device, settings.trust_remote_code, base)


BUILT_IN = {"cascade-classifier": CascadeClassifierPlugin(), "torch-encoder": TorchEncoderPlugin()}
