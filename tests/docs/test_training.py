"""What the pages on training show, in their order, with a tiny base model."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry import BaseModelFiles
from tests import warm

from .pages import TRAINING, run_page


@pytest.mark.docs
@pytest.mark.parametrize("page", TRAINING)
def test_what_the_page_shows_runs(page: str, checkout: Path, tiny_base: BaseModelFiles) -> None:
    run_page(page, checkout, **{warm.BASE: str(tiny_base.path)})
