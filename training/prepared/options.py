"""Options for preparing data: how rows are split, and how long texts are divided into chunks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from training.prepared.chunking import CHUNK_CHARACTERS
from training.splitting.options import SplitOptions


class PrepareOptions(SplitOptions):
    """How rows are split, and how long texts are divided. Answers of rows in no part stay in the corpus."""

    chunk_characters: Annotated[
        int, Field(ge=1, description="Pairs, triplets, beir: longer answers are divided at sentence ends.")
    ] = CHUNK_CHARACTERS
