"""Signatures: what is changed by one bit, signed by another, or not signed, is not loaded where keys are trusted."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("model_signing")

from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy import create_engine, text

from registry import DamagedArtifactError, ModelVersion, Registry
from registry.errors import GateError, PolicyError, SignatureError
from registry.policies.policy import Policy, read_policy
from registry.signing.manifest import Manifest
from registry.signing.signatures import check_manifest, check_signature, fingerprint
from registry.signing.trust import VARIABLE
from tests.registry.samples import make_record, write_model
from tests.registry.signing.keys import PRIVATE, make_keys


@pytest.fixture(autouse=True)
def no_trust(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return make_keys(tmp_path / "keys", "release")


@pytest.fixture
def store(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "registry")


@pytest.fixture
def version(store: Registry, tmp_path: Path) -> ModelVersion:
    return store.publish(write_model(tmp_path / "model"), make_record())


def test_a_signed_version_is_loaded_and_others_are_not(
    registry: Registry, tmp_path: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = registry.publish(write_model(tmp_path / "model"), make_record())
    registry.fetch(version)
    monkeypatch.setenv(VARIABLE, str(keys[1]))
    with pytest.raises(SignatureError, match="medical@1 is not signed"):
        registry.fetch(version)
    other = make_keys(tmp_path / "others", "other")
    registry.signatures.sign(version, other[0])
    with pytest.raises(SignatureError, match=r"medical@1 is not signed with the key release\.pem"):
        registry.fetch(version)
    registry.signatures.sign(version, keys[0])
    assert (registry.fetch(version) / "model.safetensors").is_file()
    assert registry.signatures.verify(version) == keys[1]
    monkeypatch.setenv(VARIABLE, str(tmp_path / "others"))
    with pytest.raises(SignatureError, match=r"not signed with the key other\.pem"):
        registry.fetch(version)
    make_keys(tmp_path / "others", "another")
    (tmp_path / "others" / "release.pem").write_bytes(keys[1].read_bytes())
    registry.fetch(version)


def test_every_flipped_byte_of_a_signed_manifest_breaks_the_signature(
    store: Registry, version: ModelVersion, keys: tuple[Path, Path]
) -> None:
    bundle = store.signatures.sign(version, keys[0])
    check_signature(version, store.fetch(version), bundle, keys[1])
    envelope = json.loads(bundle)
    payload = base64.b64decode(envelope["dsseEnvelope"]["payload"])
    for place in range(len(payload)):
        flipped = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        envelope["dsseEnvelope"]["payload"] = base64.b64encode(flipped).decode()
        with pytest.raises(SignatureError):
            check_signature(version, None, json.dumps(envelope), keys[1])


def test_every_flipped_byte_of_a_record_breaks_the_signature(
    store: Registry, version: ModelVersion, keys: tuple[Path, Path]
) -> None:
    """The manifest is made of the record: each change of it that is still a record must be found."""
    bundle, content = store.signatures.sign(version, keys[0]), Manifest.of(version).to_bytes()
    tried = 0
    for place in range(len(content)):
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        try:
            manifest = Manifest.model_validate_json(flipped)
        except ValueError:
            continue
        if manifest == Manifest.of(version):
            continue  # white space, or another way to write the same number
        tried += 1
        with pytest.raises(SignatureError):
            check_manifest(manifest, "medical@1", bundle, keys[1])
    assert tried > 250


@pytest.mark.parametrize("part", ["sig", "mediaType", "payloadType", "hint", "nothing", "{}"])
def test_a_changed_bundle_is_refused(
    store: Registry, version: ModelVersion, keys: tuple[Path, Path], part: str
) -> None:
    bundle = store.signatures.sign(version, keys[0])
    found = json.loads(bundle)
    envelope = found["dsseEnvelope"]
    if part == "sig":
        envelope["signatures"][0]["sig"] = base64.b64encode(b"another signature").decode()
    elif part == "mediaType":
        found["mediaType"] += "x"
    elif part == "payloadType":
        envelope["payloadType"] += "x"
    elif part == "hint":
        del found["verificationMaterial"]["publicKey"]["hint"]
    changed = {"nothing": "", "{}": "{}"}.get(part, json.dumps(found))
    with pytest.raises(SignatureError, match="medical@1"):
        check_signature(version, None, changed, keys[1])


def test_every_flipped_byte_of_a_file_is_found_before_the_signature_is_asked(
    store: Registry, version: ModelVersion, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.signatures.sign(version, keys[0])
    folder = store.fetch(version)
    monkeypatch.setenv(VARIABLE, str(keys[1]))
    for file in version.files:
        content = (folder / file.path).read_bytes()
        for place in range(len(content)):
            (folder / file.path).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            with pytest.raises(DamagedArtifactError, match=file.path):
                store.fetch(version)
            with pytest.raises(DamagedArtifactError, match=file.path):
                store.signatures.verify(version)
        (folder / file.path).write_bytes(content)
    store.fetch(version)


def test_a_record_that_was_changed_in_the_database_is_not_loaded(
    store: Registry, version: ModelVersion, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.signatures.sign(version, keys[0])
    monkeypatch.setenv(VARIABLE, str(keys[1]))
    store.fetch(store.get("medical@1"))
    engine = create_engine(f"sqlite:///{next((tmp_path / 'registry').glob('*.db'))}")
    with engine.begin() as connection:
        changed = connection.execute(text("UPDATE model_versions SET record = replace(record, '0.666', '0.966')"))
        assert changed.rowcount == 1
    engine.dispose()
    with pytest.raises(SignatureError, match="medical@1 is not valid"):
        store.fetch(store.get("medical@1"))


def test_a_signature_travels_and_an_import_asks_for_it(
    store: Registry, version: ModelVersion, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.exchange.export_file(version, tmp_path / "unsigned.tar")
    store.signatures.sign(version, keys[0])
    store.exchange.export_file(version, tmp_path / "signed.tar")
    monkeypatch.setenv(VARIABLE, str(keys[1]))
    other = Registry.open(tmp_path / "other")
    with pytest.raises(SignatureError, match="medical@1 is not signed"):
        other.exchange.import_file(tmp_path / "unsigned.tar")
    assert other.versions() == []
    arrived, _ = other.exchange.import_file(tmp_path / "signed.tar")
    other.fetch(arrived)
    other.close()


def test_the_tool_of_model_signing_verifies_what_was_exported(
    store: Registry, version: ModelVersion, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    store.signatures.sign(version, keys[0])
    store.exchange.export_file(version, tmp_path / "medical.tar")
    shutil.unpack_archive(tmp_path / "medical.tar", tmp_path / "out")
    command = [sys.executable, "-m", "model_signing", "verify", "key", "out", "--public_key", str(keys[1])]
    ignored = ["--ignore-paths", "out/origin.json", "--ignore-paths", "out/signature.json"]
    done = subprocess.run(
        [*command, "--signature", "out/signature.json", *ignored], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "out" / "manifest.json").write_text("{}")
    assert subprocess.run([*command, "--signature", "out/signature.json", *ignored], cwd=tmp_path).returncode != 0


def test_keys_that_cannot_be_used_are_refused(
    store: Registry, version: ModelVersion, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "ed25519"
    other.write_bytes(ed25519.Ed25519PrivateKey.generate().private_bytes(*PRIVATE))
    for bad in (keys[1], other, tmp_path / "missing"):
        with pytest.raises(SignatureError, match="is not a private key"):
            store.signatures.sign(version, bad)
    with pytest.raises(SignatureError, match="not a public key"):
        fingerprint(keys[0])
    with pytest.raises(SignatureError, match="no public key is named"):
        store.signatures.verify(version)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing"))
    with pytest.raises(SignatureError, match=VARIABLE):
        store.fetch(version)
    assert store.signatures.of(version) is None


def test_a_policy_demands_a_signature_of_one_of_its_keys(
    store: Registry, version: ModelVersion, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    other = make_keys(tmp_path / "others", "other")
    second = store.publish(write_model(tmp_path / "second", "second"), make_record())
    store.policies.set(Policy(require_signature={"release": keys[1].read_text()}))
    for sign, said in ((None, "is not signed"), (other, "is not signed with the key release")):
        if sign:
            store.signatures.sign(second, sign[0])
        with pytest.raises(GateError, match=said):
            store.promote(second.name)
    assert store.get("medical").version == version.version
    store.signatures.sign(second, keys[0])
    assert store.promote(second.name) == second


@pytest.mark.parametrize("key", ["release.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_policy_takes_no_other_text_for_a_public_key(tmp_path: Path, key: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(json.dumps({"require_signature": {"release": key}}))
    with pytest.raises(PolicyError, match="line 1: require_signature.release: expected a public key in PEM"):
        read_policy(path)
