"""What the pages on serving show, with tiny models in the registry that the quickstart would leave."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry import BaseModelFiles
from tests import warm

from .pages import SERVING, run_page


@pytest.fixture(scope="module", autouse=True)
def quickstart(checkout: Path, served: Path) -> None:
    """What the README's commands leave: a registry, and the folder ``work``."""
    (checkout / "work").mkdir()
    shutil.copytree(served, checkout / "quickstart" / "registry")


@pytest.mark.docs
@pytest.mark.parametrize("page", SERVING)
def test_what_the_page_shows_runs(page: str, checkout: Path, tiny_base: BaseModelFiles) -> None:
    run_page(page, checkout, **{warm.BASE: str(tiny_base.path)})
