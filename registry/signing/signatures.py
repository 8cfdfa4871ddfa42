"""Signatures by OpenSSF Model Signing: a bundle over a version's manifest and files, made offline with a key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from registry.errors import SignatureError
from registry.paths import PathLike, local_path
from registry.records import ModelVersion
from registry.signing.manifest import FILES, MANIFEST, Manifest
from registry.storage.file_lists import check_files

if TYPE_CHECKING:
    from model_signing import hashing

_BUNDLE = "signature.json"
_LARGEST = 4 << 20
"""Bytes of a bundle."""


def sign(manifest: Manifest, private_key: PathLike) -> str:
    """The signature of a version whose files were checked, as a Sigstore bundle.

    Args:
        manifest: of the version.
        private_key: a file in PEM with a key on the curve P-256, P-384 or P-521, not encrypted.

    Raises:
        SignatureError: ``model-signing`` is not installed, or the key cannot be used.
    """
    path = local_path(private_key, SignatureError)
    _check_installed()
    from model_signing import signing

    with TemporaryDirectory() as folder:
        bundle = Path(folder) / _BUNDLE
        try:
            config = signing.Config().use_elliptic_key_signer(private_key=path)  # type: ignore[no-untyped-call]
            config.set_hashing_config(_known_digests(manifest)).sign(manifest.record.domain, bundle)
        except (OSError, ValueError, TypeError, AttributeError) as error:  # the last for keys of other kinds
            raise SignatureError(
                f"{path} is not a private key on a curve of NIST's in PEM, unencrypted: {error}"
            ) from None
        return bundle.read_text(encoding="utf-8")


def check_signature(version: ModelVersion, folder: Path | None, bundle: str, public_key: PathLike) -> None:
    """Make sure that the holder of a key signed exactly this version: its record and its files.

    Args:
        version: as the registry has it.
        folder: of its files, which are compared with the record; None where that was just done.
        bundle: what :func:`sign` made.
        public_key: a file in PEM.

    Raises:
        SignatureError: another key signed it, it was changed, or the bundle or the key cannot be read.
        DamagedArtifactError: the files are not those of the record.
    """
    if folder is not None:
        check_files(folder, version.files)
    check_manifest(Manifest.of(version), version.name, bundle, public_key)


def check_manifest(manifest: Manifest, name: str, bundle: str, public_key: PathLike) -> None:
    """The same for a version that is not registered yet.

    Args:
        manifest: with the digests of files that were checked.
        name: of the version, for the error.
        bundle: what :func:`sign` made.
        public_key: a file in PEM.

    Raises:
        SignatureError: see :func:`check_signature`.
    """
    key = local_path(public_key, SignatureError)
    mark = fingerprint(key)
    if len(bundle) > _LARGEST or _hint(bundle) != mark:
        raise SignatureError(f"{name} is not signed with the key {key.name} ({mark[:16]})")
    from model_signing import verifying

    with TemporaryDirectory() as folder:
        path = Path(folder) / _BUNDLE
        path.write_text(bundle, encoding="utf-8")
        try:
            config = verifying.Config().use_elliptic_key_verifier(public_key=key)  # type: ignore[no-untyped-call]
            config.set_hashing_config(_known_digests(manifest)).verify(manifest.record.domain, path)
        except Exception as error:  # a changed bundle may fail anywhere in three libraries, and is refused for whatever
            reason = str(error) or "the signature does not fit what was signed"
            raise SignatureError(f"the signature of {name} is not valid for the key {key.name}: {reason}") from error


def fingerprint(public_key: PathLike) -> str:
    """The SHA-256 of a public key in PEM, in hexadecimal, as bundles name the key that they were made with.

    Raises:
        SignatureError: ``model-signing`` is not installed, or the file is not a public key.
    """
    path = local_path(public_key, SignatureError)
    _check_installed()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"{path} is not a public key in PEM: {error}") from error
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _hint(bundle: str) -> str | None:
    """The fingerprint that a bundle names; None if it names none, which only very old ones do."""
    try:
        hint = json.loads(bundle)["verificationMaterial"]["publicKey"]["hint"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return hint if isinstance(hint, str) else None


def _known_digests(manifest: Manifest) -> hashing.Config:
    """How ``model-signing`` comes by digests: files are not read again, the manifest has those of all."""
    from model_signing import hashing
    from model_signing._hashing.hashing import Digest
    from model_signing.manifest import Manifest as SignedManifest
    from model_signing.manifest import SerializationType

    digests = {f"{FILES}/{file.path}": bytes.fromhex(file.sha256) for file in manifest.files}
    digests[MANIFEST] = hashlib.sha256(manifest.to_bytes()).digest()

    class Known(hashing.Config):
        def hash(self, model_path: Any, *, files_to_hash: Iterable[Any] | None = None) -> SignedManifest:
            kind = SerializationType.from_args({"method": "files", "hash_type": "sha256", "allow_symlinks": False})
            items = [kind.new_item(name, Digest("sha256", digest)) for name, digest in digests.items()]
            return SignedManifest(str(model_path), items, kind)

    return Known()  # type: ignore[no-untyped-call]


def _check_installed() -> None:
    try:
        import model_signing  # noqa: F401
    except ImportError as error:
        raise SignatureError("signatures need model-signing: pip install 'domain-router[signing]'") from error
