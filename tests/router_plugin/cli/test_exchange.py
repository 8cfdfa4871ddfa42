"""Versions are exported, imported, signed and described on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("model_signing")

from registry import Registry
from tests.registry.signing.keys import make_keys


def result(cli: Any, *arguments: object) -> dict[str, Any]:
    """What a command prints with ``--json``."""
    code, out, err = cli("models", *arguments)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_signed_version_is_exported_imported_once_and_keeps_its_signature(
    cli: Any, served: Path, tmp_path: Path
) -> None:
    private, public = make_keys(tmp_path / "keys", "release")
    file, other = tmp_path / "medical.tar", tmp_path / "other"
    here, there = ("--registry", served, "--json"), ("--registry", other, "--json")
    assert "bundle" in result(cli, "sign", "medical", "--key", private, *here)
    exported = result(cli, "export", "medical", file, *here)
    assert exported["name"] == "medical@1" and exported["size"] == file.stat().st_size
    assert cli("models", "export", "medical", file, "--registry", served)[0] == 2
    arrived = result(cli, "import", file, *there)
    assert (arrived["name"], arrived["added"], arrived["origin"]["name"]) == ("medical@1", True, "medical@1")
    assert not result(cli, "import", file, *there)["added"]
    assert result(cli, "import", file, "--force", *there)["name"] == "medical@2"
    assert result(cli, "verify-signature", "medical", "--key", public, *there)["key"] == str(public)
    with_other = ("--key", make_keys(tmp_path / "keys", "other")[1], "--registry", other)
    code, _, err = cli("models", "verify-signature", "medical", *with_other)
    assert code == 2 and "medical@1 is not signed with the key other.pem" in err
    assert Registry.open(other).get("medical@1").files == Registry.open(served).get("medical@1").files


def test_a_bill_of_materials_names_files_and_licence(cli: Any, served: Path) -> None:
    found = result(cli, "bom", "medical", "--license", "Apache-2.0", "--registry", served)
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert "Apache-2.0" in json.dumps(found)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "FOLDER/missing.tar"), "there is no such file"),
        (("import", "FOLDER/text.tar"), "no uncompressed tar"),
        (("sign", "medical", "--key", "FOLDER/text.tar"), "is not a private key"),
        (("verify-signature", "medical"), "no public key is named"),
        (("export", "nothing", "FOLDER/x.tar"), "unknown model nothing"),
        (("bom", "medical@9"), "unknown model medical@9"),
    ],
)
def test_a_mistake_is_one_line(cli: Any, tmp_path: Path, served: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "text.tar").write_text("text" * 300)
    given = [each.replace("FOLDER", str(tmp_path)) for each in arguments]
    code, _, err = cli("models", *given, "--registry", served)
    assert code == 2 and said in err and err.count("\n") == 1
