"""What the README and the pages on the ready-made models show, with the real base model."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pages import README, run_page


@pytest.mark.docs
@pytest.mark.parametrize("page", README)
def test_what_the_page_shows_runs(page: str, checkout: Path) -> None:
    run_page(page, checkout)
