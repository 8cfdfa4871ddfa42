"""The tour runs from its first cell to its last, and is committed without outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry import BaseModelFiles
from tests import warm
from tests.conftest import ROOT

from .pages import run

TOUR = ROOT / "examples" / "tour.ipynb"


def cells(kind: str) -> list[dict[str, object]]:
    """The cells of one kind."""
    return [cell for cell in json.loads(TOUR.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def test_it_holds_no_outputs() -> None:
    assert cells("code")
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells("code"))


@pytest.mark.docs
def test_its_cells_run_one_after_the_other(checkout: Path, tiny_base: BaseModelFiles) -> None:
    code = "\n\n".join("".join(cell["source"]) for cell in cells("code"))  # type: ignore[arg-type]
    printed = run(
        [str(checkout / ".venv" / "bin" / "python"), "-c", code],
        checkout,
        {warm.BASE: str(tiny_base.path), "TMPDIR": str(checkout)},
    )
    assert "legal@1" in printed
    assert printed.splitlines()[-1].startswith("adapted ")
