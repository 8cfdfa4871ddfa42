"""A joint space as a module of sentence-transformers, so that whatever loads a SentenceTransformer can use it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic
import torch
from sentence_transformers.base.modules import InputModule

from registry.snapshot import Snapshot
from router_plugin.classifier.known.unmodelled_domains import UnmodelledDomain
from router_plugin.errors import JointSpaceError
from router_plugin.joint_space.record import SpaceRecord
from router_plugin.joint_space.space import JointSpace
from router_plugin.serving.domains import ServedDomains
from router_plugin.settings import Runtime, Settings

if TYPE_CHECKING:
    from sentence_transformers.base.model import BaseModel

CONFIG = "joint_space.json"


class Exported(pydantic.BaseModel):
    """The content of ``joint_space.json``, next to the models of the folder.

    Attributes:
        identifier: of the record.
        record: of the joint space.
        backend: see :class:`router_plugin.Settings`.
        extra_domains: the domains without a model.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    identifier: str
    record: SpaceRecord
    backend: Runtime
    extra_domains: tuple[UnmodelledDomain, ...]


class JointSpaceModule(InputModule):
    """The only module of an exported joint space: texts to vectors. Called from several threads.

    ``encode``, ``encode_query`` and ``encode_document`` classify each text, unless their argument ``domain`` names the
    domain of all texts of the call.

    Attributes:
        folder: with the models and the record.
        identifier: of the joint space. Vectors of another one cannot be compared.
    """

    config_file_name = CONFIG
    config_keys = ["identifier"]  # noqa: RUF012  as sentence-transformers declares it
    save_in_root = False
    forward_kwargs = {"domain"}  # noqa: RUF012

    def __init__(self, folder: Path | str) -> None:
        """Read the record. The models are opened when the device is known, by :meth:`on_model_ready`.

        Raises:
            JointSpaceError: the folder is not what ``domain-router joint-space`` wrote.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.folder = Path(folder)
        path = self.folder / CONFIG
        try:
            self._exported = Exported.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise JointSpaceError(f"{path} is not what 'domain-router joint-space' writes: {error}") from error
        self.identifier = self._exported.identifier
        if self.identifier != self._exported.record.identifier:
            raise JointSpaceError(f"{path} is damaged: {self.identifier} is not the identifier of its record")
        self.register_buffer("_placed", torch.empty(0), persistent=False)  # which tells the device
        self._space: JointSpace | None = None

    @property
    def space(self) -> JointSpace:
        """The joint space, on this module's device.

        Raises:
            DamagedArtifactError: a file is missing or was changed.
            JointSpaceError: it differs from the exported one, because something it depends on is different here.
        """
        device = str(self._placed.device)
        if self._space is None or self._space.domains.settings.device != device:
            self._space = self._open(device)
        return self._space

    def on_model_ready(self, model: BaseModel) -> None:
        """Open the joint space.

        Raises:
            JointSpaceError: the model truncates vectors, or see :attr:`space`.
        """
        dims, dimension = getattr(model, "truncate_dim", None), self.space.dimension
        if dims is not None and dims < dimension:
            raise JointSpaceError(
                f"truncate_dim={dims} would cut whole domains off the {dimension} numbers of joint space "
                f"{self.identifier}: export it with `dims` instead"
            )

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """The texts as they are: each domain's encoder tokenizes them itself."""
        return {"texts": self._prepend_prompt(list(inputs), prompt) if prompt else list(inputs)}

    def forward(self, features: dict[str, Any], domain: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Adds ``sentence_embedding``, unit vectors ``(n, dimension)``.

        Args:
            features: with the ``texts``.
            domain: of all texts, where it is known; see :meth:`router_plugin.JointSpace.encode_documents`.
        """
        texts = features["texts"]
        vectors = self.space.encode_documents(texts, None if domain is None else [domain] * len(texts))
        return {**features, "sentence_embedding": torch.from_numpy(vectors).to(self._placed.device)}

    def get_embedding_dimension(self) -> int:
        """Dimension of a vector."""
        return self.space.dimension

    @property
    def max_seq_length(self) -> int | None:
        """The smallest maximum length of the registered models, in tokens; None where none of them has a limit."""
        lengths = [version.max_length for version in self.space.domains.champions.values() if version.max_length]
        return min(lengths, default=None)

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Copy the folder."""
        if Path(output_path).resolve() != self.folder.resolve():
            shutil.copytree(self.folder, output_path, dirs_exist_ok=True)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> JointSpaceModule:
        """The module of a local folder, or of a repository on the Hugging Face Hub. No code of either is run."""
        folder = cls.load_dir_path(model_name_or_path, subfolder, token, cache_folder, revision, local_files_only)
        return cls(folder or Path(model_name_or_path, subfolder))

    def __getstate__(self) -> dict[str, Any]:
        """For copies and other processes, which open the folder themselves."""
        return {**self.__dict__, "_space": None}

    def _open(self, device: str) -> JointSpace:
        record, snapshot = self._exported.record, Snapshot(self.folder)
        settings = Settings(
            min_confidence=record.min_confidence,
            target_precision=record.target_precision,
            max_query_characters=record.max_query_characters,
            backend=self._exported.backend,
            device=device,
        )
        domains = ServedDomains(
            snapshot, base_model=snapshot.base, extra_domains=self._exported.extra_domains, settings=settings
        )
        space = JointSpace(domains, record.top, record.block_size)
        if space.identifier != self.identifier:
            raise JointSpaceError(
                f"{self.folder} would make other vectors here than those of joint space {self.identifier}: "
                f"{space.record.differences(record)}: undo this, or export the joint space again"
            )
        return space
