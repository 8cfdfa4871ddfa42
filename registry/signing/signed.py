"""The signatures of a registry's versions: made, kept, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from registry.errors import SignatureError
from registry.paths import PathLike, local_path
from registry.records import ModelVersion
from registry.signing.manifest import Manifest
from registry.signing.signatures import sign
from registry.signing.stored import keep_signature, kept_signature
from registry.signing.trust import check_trusted, trusted_keys
from registry.store import Store


class Signatures:
    """The signatures of one registry."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, version: ModelVersion) -> str | None:
        """The signature of a version as a Sigstore bundle; None if it has none."""
        with self._store.reading() as connection:
            return kept_signature(connection, version.domain, version.version)

    def sign(self, version: ModelVersion, private_key: PathLike) -> str:
        """Sign a version with a key, in place of an earlier signature; returns the Sigstore bundle.

        Raises:
            SignatureError: the key cannot be used, or ``model-signing`` is not installed.
            DamagedArtifactError: a stored file is not as it was published.
        """
        self._store.fetch(version)
        bundle = sign(Manifest.of(version), private_key)
        self._store.write(lambda connection: keep_signature(connection, version.domain, version.version, bundle))
        return bundle

    def verify(self, version: ModelVersion, keys: Sequence[PathLike] | None = None) -> Path:
        """Check a version's signature and all its files; returns the public key that fits.

        Args:
            version: to be checked.
            keys: public keys, files in PEM; by default those that this machine trusts.

        Raises:
            SignatureError: it is not signed with one of them, was changed, or no key is named.
            DamagedArtifactError: a stored file is not as it was published.
        """
        known = trusted_keys() if keys is None else [local_path(key, SignatureError) for key in keys]
        if not known:
            raise SignatureError("no public key is named: give one (`key`), or set DOMAIN_ROUTER_TRUSTED_KEYS")
        self._store.fetch(version)
        return check_trusted(Manifest.of(version), version.name, self.of(version), known)

    def check_trusted(self, version: ModelVersion) -> None:
        """Make sure that a version whose files were checked is signed, if this machine requires signatures.

        Raises:
            SignatureError: no key that this machine trusts signed it.
        """
        if keys := trusted_keys():
            check_trusted(Manifest.of(version), version.name, self.of(version), keys)
