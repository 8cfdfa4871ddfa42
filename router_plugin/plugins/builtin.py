"""The built-in plugins. They answer last, so that any other plugin's answer comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from router_plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from registry import BaseModelFiles, Profile, Registry
    from router_plugin.contracts import BaseEmbedder, DomainClassifier, Encoder
    from router_plugin.settings import Settings
    from training import JudgeOptions, SourceKind


class CascadeClassifierPlugin:
    """Lexical features first, the base model's embedding where they are unsure."""

    @hookimpl(trylast=True)
    def domain_classifier(
        self,
        profiles: Mapping[str, Profile],
        queries: Mapping[str, Sequence[str]],
        base: BaseEmbedder,
        settings: Settings,
    ) -> DomainClassifier:
        """The classifier of the registered domains and ``general``."""
        from registry import GENERAL
        from router_plugin.classifier.cascade import CascadeClassifier
        from router_plugin.classifier.known.everyday import everyday_profile
        from router_plugin.classifier.known.from_routes import with_queries
        from router_plugin.classifier.known.subjects import known_subjects

        known = with_queries({GENERAL: everyday_profile(base), **profiles}, queries, base)
        return CascadeClassifier(
            known.pop(GENERAL), known, base, known_subjects(base), precision=settings.target_precision
        )


class RegistryStorePlugin:
    """Registries in a folder, and in a database with artifacts at another URL."""

    @hookimpl(trylast=True)
    def registry_backend(self, url: str) -> Registry | None:
        """The registry, unless the URL has a scheme of another plugin's."""
        from registry import Registry
        from registry.storage.location import is_known

        return Registry.open(url) if is_known(url) else None


class CompiledEncoderPlugin:
    """Variants on OpenVINO and ONNX Runtime."""

    @hookimpl(trylast=True)
    def encoder(self, folder: Path, base: BaseModelFiles, settings: Settings) -> Encoder | None:
        """The variant that the settings choose, if the folder has it."""
        from router_plugin.classifier.known.everyday import everyday_queries
        from router_plugin.encoders.selection import compiled_encoder

        trusted = settings.trust_remote_code
        return compiled_encoder(folder, base, settings.backend, settings.device, trusted, everyday_queries)


class TorchEncoderPlugin:
    """SentenceTransformers on torch."""

    @hookimpl(trylast=True)
    def encoder(self, folder: Path, base: BaseModelFiles, settings: Settings) -> Encoder:
        """The model of the folder: whole, or an adapter on a base model that all its domains share."""
        from registry.model_folders.adapter_files import is_adapter
        from registry.model_folders.loading import find_base
        from router_plugin.encoders.shared_backbone import shared_backbone
        from router_plugin.encoders.torch_encoder import TorchEncoder

        if is_adapter(folder) or folder == base.path:
            needed = find_base(folder, base) if is_adapter(folder) else base
            if shared := shared_backbone(needed, settings.device, settings.trust_remote_code):
                return shared.member(folder)
        return TorchEncoder(folder, settings.device, settings.trust_remote_code, base)


class RelevanceJudgePlugin:
    """A language model and a cross-encoder as judges."""

    @hookimpl(trylast=True)
    def relevance_judge(self, options: JudgeOptions) -> object:
        """The judge of that name."""
        from training.judges.opening import open_judge

        return open_judge(options)


class SourceKindsPlugin:
    """Pairs, labels, logs, triplets and BEIR folders as sources of training data."""

    @hookimpl
    def source_kinds(self) -> Sequence[SourceKind]:
        """The kinds that training knows."""
        from training.sources.kinds import BUILT_IN as KINDS

        return KINDS


class RoutesSourcePlugin:
    """A routes file as a source of training data."""

    @hookimpl
    def source_kinds(self) -> Sequence[SourceKind]:
        """The kind ``routes``."""
        from router_plugin.plugins.routes_source import routes_kind

        return [routes_kind()]


BUILT_IN = {
    "cascade-classifier": CascadeClassifierPlugin(),
    "compiled-encoder": CompiledEncoderPlugin(),
    "registry-store": RegistryStorePlugin(),
    "relevance-judge": RelevanceJudgePlugin(),
    "source-kinds": SourceKindsPlugin(),
    "routes-source": RoutesSourcePlugin(),
    "torch-encoder": TorchEncoderPlugin(),
}
