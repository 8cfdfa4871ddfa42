"""A read-only copy of a registry's champions and their base model in one folder, which can be moved."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pydantic

from registry.errors import DamagedArtifactError
from registry.model_folders.base_models import BaseModelFiles
from registry.records import ArtifactFile, ModelVersion
from registry.storage.file_lists import check_files, digest_of_list, list_files

LISTING = "snapshot.json"
_BASE, _MODELS = "base", "models"


class _Listing(pydantic.BaseModel):
    """What ``snapshot.json`` holds."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    base: str = pydantic.Field(description="name of the base model")
    revision: str | None
    base_files: tuple[ArtifactFile, ...]
    champions: tuple[ModelVersion, ...]


class Snapshot:
    """Serves the champions as :class:`registry.Registry` does. Safe to use from several threads; writes nothing."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            DamagedArtifactError: the folder is not what :meth:`write` makes, or is damaged.
        """
        self.url = str(folder)
        self._folder = folder
        path = folder / LISTING
        try:
            self._listing = _Listing.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DamagedArtifactError(f"{path} cannot be read: {error}") from error
        for version in self._listing.champions:
            if digest_of_list(version.files) != version.artifact:
                raise DamagedArtifactError(f"{path} is damaged: the files of {version.name} do not have its digest")

    @staticmethod
    def write(folder: Path, base: BaseModelFiles, champions: Sequence[tuple[ModelVersion, Path]]) -> None:
        """Fill an empty folder.

        Args:
            folder: to be filled.
            base: the model of ``general``, on which adapters run.
            champions: versions with the folders of their files.
        """
        for path in base.files:
            target = folder / _BASE / path.relative_to(base.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        for version, source in champions:
            shutil.copytree(source, folder / _MODELS / version.domain, copy_function=shutil.copyfile)
        listing = _Listing(
            base=base.name,
            revision=base.revision,
            base_files=list_files(folder / _BASE),
            champions=tuple(version for version, _ in champions),
        )
        (folder / LISTING).write_text(listing.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @cached_property
    def base(self) -> BaseModelFiles:
        """The base model, every digest checked.

        Raises:
            DamagedArtifactError: a file is missing or was changed.
        """
        check_files(self._folder / _BASE, self._listing.base_files)
        return BaseModelFiles(self._listing.base, self._listing.revision, self._folder / _BASE, "snapshot")

    def champions(self) -> list[ModelVersion]:
        """The version that queries of each domain are served with."""
        return list(self._listing.champions)

    def fetch(self, version: ModelVersion) -> Path:
        """The folder of the version's files, every digest checked just now.

        Raises:
            DamagedArtifactError: a file is missing or was changed.
        """
        folder = self._folder / _MODELS / version.domain
        try:
            check_files(folder, version.files)
        except DamagedArtifactError as error:
            raise DamagedArtifactError(f"{version.name}: {error}") from error
        return folder
