"""Writes a version to the Hugging Face Hub, and reads it from there, by file and digest, running nothing of it.

A repository holds the model's files as they are, so that every program finds a model there, and in a folder of ours
what a registry needs: manifest, origin and signature. ``HF_ENDPOINT`` and ``HF_TOKEN`` are the library's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from registry.errors import DamagedArtifactError, ExchangeError
from registry.exchange.archive import (
    LARGEST_TEXT,
    MAX_SIZE,
    ORIGIN,
    SIGNATURE,
    Package,
    check_manifest_files,
    origin_of,
)
from registry.progress import bar
from registry.records import ModelVersion, Origin
from registry.shared.wording import first_fault
from registry.signing.manifest import MANIFEST, Manifest
from registry.storage.file_kinds import check_arrays

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

_OURS = "domain-router"
_OF_THE_HUB = (".gitattributes",)
_PIECE = 1 << 20
_SECONDS = 60.0
_CLIENTS = ("httpx", "httpx2")
"""What the Hub's library asks with, by its version."""


def push(version: ModelVersion, folder: Path, bundle: str | None, repository: str, private: bool) -> str:
    """Make a commit with exactly a version's files, in a repository that is made if it is missing.

    Args:
        version: to be written.
        folder: of its files, which were just checked.
        bundle: its signature, if it has one.
        repository: ``ORG/NAME``.
        private: whether a new repository is for its owners only.

    Returns:
        The address of the commit.

    Raises:
        ExchangeError: the Hub cannot be reached or refuses it, or the repository holds something else.
    """
    with _explained(repository):
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        api = HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        there = {path for path in api.list_repo_files(repository) if path not in _OF_THE_HUB}
        if there and f"{_OURS}/{MANIFEST}" not in there:
            raise ExchangeError(
                f"{repository} holds files that 'models push' did not write, such as {min(there)}: choose another name"
            )
        texts = {MANIFEST: Manifest.of(version).to_bytes(), ORIGIN: origin_of(version)}
        if bundle is not None:
            texts[SIGNATURE] = bundle.encode()
        added = {file.path: CommitOperationAdd(file.path, folder / file.path) for file in version.files}
        added |= {f"{_OURS}/{name}": CommitOperationAdd(f"{_OURS}/{name}", text) for name, text in texts.items()}
        operations: list[CommitOperationAdd | CommitOperationDelete] = list(added.values())
        operations += [CommitOperationDelete(path) for path in sorted(there - set(added))]
        with bar(f"pushing {version.name}"):  # the library says nothing of how far it is
            commit = api.create_commit(repository, operations, commit_message=f"{version.name} of domain-router")
        return str(commit.commit_url)


def pull(repository: str, into: Path, revision: str | None = None, max_size: int = MAX_SIZE) -> Package:
    """Download what :func:`push` wrote, all of one commit, no more bytes than the manifest says.

    Args:
        repository: ``ORG/NAME``.
        into: an empty folder for the model's files.
        revision: a branch, tag or commit; None for the newest.
        max_size: bytes that the model may have.

    Raises:
        ExchangeError: the Hub cannot be reached, the repository holds no version, or one that is too large.
        DamagedArtifactError: a file does not have the digest of the manifest.
        RegistryError: it holds a file of a kind that is not allowed.
    """
    with _explained(repository):
        from huggingface_hub import HfApi

        found = HfApi().model_info(repository, revision=revision)
        commit, there = str(found.sha), {each.rfilename for each in found.siblings or ()}
        if f"{_OURS}/{MANIFEST}" not in there:
            raise ExchangeError(
                f"{repository} holds no version of a registry (no {_OURS}/{MANIFEST}): "
                "register any model by 'domain-router models import-model'"
            )
        texts = {
            name: _text(repository, commit, f"{_OURS}/{name}")
            for name in (MANIFEST, ORIGIN, SIGNATURE)
            if f"{_OURS}/{name}" in there
        }
        try:
            manifest = Manifest.model_validate_json(texts[MANIFEST])
            origin = Origin.model_validate_json(texts.get(ORIGIN, b""))
            bundle = texts[SIGNATURE].decode() if SIGNATURE in texts else None
        except ValidationError as error:
            raise ExchangeError(f"{repository} is not of this build of domain-router: {first_fault(error)}") from error
        check_manifest_files(manifest, repository, into, max_size)
        with bar(f"pulling {repository}", sum(file.size for file in manifest.files), of_bytes=True) as advance:
            for file in manifest.files:
                target, digest = into / file.path, hashlib.sha256()
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as out:
                    for piece in _pieces(repository, commit, file.path, file.size):
                        digest.update(piece)
                        advance(out.write(piece))
                if digest.hexdigest() != file.sha256:
                    raise DamagedArtifactError(f"{repository}: {file.path} does not have the digest of the manifest")
        check_arrays(into, (file.path for file in manifest.files))
        return Package(manifest, origin, bundle)


def _text(repository: str, commit: str, path: str) -> bytes:
    return b"".join(_pieces(repository, commit, path, LARGEST_TEXT))


def _pieces(repository: str, commit: str, path: str, most: int) -> Iterator[bytes]:
    """The content of a file, piece by piece; at most ``most`` bytes are read."""
    from huggingface_hub import get_session, hf_hub_url, utils

    address, size = hf_hub_url(repository, path, revision=commit), 0
    headers = {**utils.build_hf_headers(), "Accept-Encoding": "identity"}  # type: ignore[attr-defined]
    with get_session().stream("GET", address, headers=headers, timeout=_SECONDS, follow_redirects=True) as answer:
        utils.hf_raise_for_status(answer)  # type: ignore[attr-defined]
        for piece in answer.iter_raw(_PIECE):
            size += len(piece)
            if size > most:
                raise ExchangeError(f"{repository}: {path} is larger than the {most:,} bytes that are expected")
            yield piece


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """Report what the Hub, its library and the network say; none of them repeats the token."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        said = error.server_message or str(error).strip().split("\n")[-1]
        status = error.response.status_code if error.response is not None else "an error"
        raise ExchangeError(f"{repository}: the Hub answered {status}: {said}: check its name and HF_TOKEN") from error
    except OfflineModeIsEnabled as error:
        raise ExchangeError(f"{repository}: HF_HUB_OFFLINE is set, so the Hub is not asked") from error
    except OSError as error:
        raise ExchangeError(f"{repository}: the Hub cannot be reached, or the disk: {error}") from error
    except ValueError as error:  # of the library, for names that it does not allow
        raise ExchangeError(f"{repository}: {error}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _CLIENTS:
            raise
        raise ExchangeError(f"{repository}: the Hub cannot be reached: {error}") from error
