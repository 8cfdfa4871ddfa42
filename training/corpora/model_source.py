"""Where workers find the model that encodes: in a folder, or in a registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sentence_transformers import SentenceTransformer

from registry import BaseModelFiles, Registry
from training.corpora.options import EncodeOptions
from training.corpora.records import EncodingIdentity
from training.errors import CorpusError
from training.retrieval.encoding import load_model, resolve_device


@dataclass(frozen=True)
class ModelSource:
    """A model by its folder, which hosts without it fetch from the registry.

    Attributes:
        name: as the user named it.
        folder: of the model.
        base: an open base model, for an adapter.
        registry: URL of the registry that has the model, if it is registered.
        version: its name there.
        trust_remote_code: let the model run code of its own.
    """

    name: str
    folder: Path
    base: BaseModelFiles | None = None
    registry: str | None = None
    version: str | None = None
    trust_remote_code: bool = False

    def identity(self, options: EncodeOptions) -> EncodingIdentity:
        """What decides the vectors.

        Raises:
            BaseModelError: the folder has no weights.
        """
        return EncodingIdentity(
            model=self.name,
            model_sha256=_digest(self.folder),
            kind=options.kind,
            encode_batch=options.encode_batch,
            format=options.format,
        )

    def open(self, identity: EncodingIdentity, device: str | None) -> SentenceTransformer:
        """The model.

        Raises:
            CorpusError: this machine does not have it, or has another one there.
            BaseModelError: it cannot be loaded.
        """
        folder = self._local()
        if _digest(folder) != identity.model_sha256:
            raise CorpusError(f"model {folder} has other weights than on the machine that began: take the same files")
        return load_model(folder, resolve_device(device), self.trust_remote_code, self.base)

    def _local(self) -> Path:
        if self.folder.is_dir():
            return self.folder
        if self.version is None:
            raise CorpusError(
                f"model {self.folder} is not on this machine: register it, or put it where all machines find it"
            )
        registry = Registry.open(self.registry)
        try:
            return registry.fetch(registry.get(self.version))
        finally:
            registry.close()


def _digest(folder: Path) -> str:
    return BaseModelFiles(str(folder), None, folder, "folder").identity
