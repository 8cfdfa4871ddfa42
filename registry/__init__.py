"""Model registry: versions of domain encoders with their lineage, aliases, and artifacts checked on every load."""

from typing import TYPE_CHECKING

from registry.shared.lazy import lazy_names

if TYPE_CHECKING:
    from registry.classifier_profiles.profiles import Profile
    from registry.errors import (
        BaseModelError,
        DamagedArtifactError,
        DomainRouterError,
        InvalidNameError,
        NotRegisteredError,
        OutputError,
        RegistryError,
    )
    from registry.model_folders.base_models import BaseModel, resolve_base_model
    from registry.names import CANDIDATE, CHAMPION, GENERAL
    from registry.records import ArtifactFile, BaseModelRecord, DatasetRecord, ModelRecord, ModelVersion
    from registry.registry import Observer, Registry

__all__ = [
    "CANDIDATE",
    "CHAMPION",
    "GENERAL",
    "ArtifactFile",
    "BaseModel",
    "BaseModelError",
    "BaseModelRecord",
    "DamagedArtifactError",
    "DatasetRecord",
    "DomainRouterError",
    "InvalidNameError",
    "ModelRecord",
    "ModelVersion",
    "NotRegisteredError",
    "Observer",
    "OutputError",
    "Profile",
    "Registry",
    "RegistryError",
    "resolve_base_model",
]

__getattr__ = lazy_names(
    __name__,
    {
        "CANDIDATE": "names",
        "CHAMPION": "names",
        "GENERAL": "names",
        "ArtifactFile": "records",
        "BaseModel": "model_folders.base_models",
        "BaseModelError": "errors",
        "BaseModelRecord": "records",
        "DamagedArtifactError": "errors",
        "DatasetRecord": "records",
        "DomainRouterError": "errors",
        "InvalidNameError": "errors",
        "ModelRecord": "records",
        "ModelVersion": "records",
        "NotRegisteredError": "errors",
        "Observer": "registry",
        "OutputError": "errors",
        "Profile": "classifier_profiles.profiles",
        "Registry": "registry",
        "RegistryError": "errors",
        "resolve_base_model": "model_folders.base_models",
    },
)
