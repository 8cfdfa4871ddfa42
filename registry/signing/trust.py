"""The public keys that this machine trusts, and the check of a version against them before it is loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from registry.errors import SignatureError
from registry.paths import local_path
from registry.signing.manifest import Manifest
from registry.signing.signatures import check_manifest

VARIABLE = "DOMAIN_ROUTER_TRUSTED_KEYS"


def trusted_keys() -> list[Path]:
    """The public keys that ``DOMAIN_ROUTER_TRUSTED_KEYS`` names: a file, or a folder with files ``*.pem``.

    Empty where it is not set: then signatures are not required.

    Raises:
        SignatureError: it is set, and names no key.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return []
    place = local_path(given, SignatureError, VARIABLE)
    keys = sorted(place.glob("*.pem")) if place.is_dir() else [place] if place.is_file() else []
    if not keys:
        raise SignatureError(f"{VARIABLE}: {place} is neither a public key nor a folder with files *.pem")
    return keys


def check_trusted(manifest: Manifest, name: str, bundle: str | None, keys: Sequence[Path]) -> Path:
    """Make sure that one of some keys signed a version whose files were checked; returns that key.

    Raises:
        SignatureError: it is not signed, by another key, or was changed.
    """
    if bundle is None:
        raise SignatureError(
            f"{name} is not signed, and only signed versions are used here: sign it with "
            "'domain-router models sign', or use another version"
        )
    refused = []
    for key in keys:
        try:
            check_manifest(manifest, name, bundle, key)
        except SignatureError as error:
            refused.append(str(error))
        else:
            return key
    raise SignatureError("; ".join(refused))
