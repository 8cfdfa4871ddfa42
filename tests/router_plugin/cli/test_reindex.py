"""An index is moved on the command line, with real models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qdrant_client")

from tests.router_plugin.reindexing.samples import TEXTS, qdrant_index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Qdrant with an index ``docs``."""
    qdrant_index(tmp_path / "qdrant", fill=True)._client.close()
    return tmp_path / "qdrant"


def test_an_index_is_moved_step_by_step(cli: Any, served: Path, folder: Path, tmp_path: Path) -> None:
    def run(step: str, *options: object) -> dict[str, Any]:
        code, out, err = cli("reindex", step, folder, "docs", *options, "--json")
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    assert run("plan")["step"] == "backfill"
    legal = ("--model", "legal@1", "--registry", served)
    assert run("backfill", *legal)["made"] == len(TEXTS)
    assert run("cutover")["serving"] == "legal@1"
    assert run("plan")["step"] == "finish, or rollback"
    run("finish")
    medical = ("--model", "medical@1", "--registry", served)
    run("backfill", *medical)
    queries = tmp_path / "queries.jsonl"
    rows = [{"text": TEXTS[3], "relevant": 3}, {"text": TEXTS[4]}]
    queries.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = run("compare", "--serving", "legal@1", "--queries", queries, *medical)
    assert found["judged"] == 1 and found["recall"] == {"serving": 1.0, "next": 1.0}
    assert cli("reindex", "compare", folder, "docs", "--serving", "legal@1", "--queries", queries, *medical)[0] == 0
    run("rollback")
    assert run("plan")["serving"] == "legal@1"


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "nowhere", "docs"),
        ("plan", "QDRANT", "nothing"),
        ("cutover", "QDRANT", "docs"),
        ("finish", "QDRANT", "docs"),
        ("plan", "postgresql://user:password@127.0.0.1:1/db", "docs"),
        ("plan", "http://127.0.0.1:1", "docs"),
    ],
)
def test_a_mistake_is_one_line(cli: Any, folder: Path, arguments: tuple[str, ...]) -> None:
    code, _, err = cli("reindex", *(str(folder) if each == "QDRANT" else each for each in arguments))
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1 and "password" not in err
