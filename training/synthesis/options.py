"""Options for making question-answer pairs of bare documents."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from registry.shared.options import Options, Shown
from training.errors import SourceError
from training.prepared.chunking import CHUNK_CHARACTERS


class SynthesisOptions(Options):
    """How documents are read and divided into passages, and what is made of each."""

    error = SourceError

    text: Annotated[str | None, Field(description="Tables: column of the text."), Shown(default="the usual names")] = (
        None
    )
    title: Annotated[
        str | None, Field(description="Tables: column of the title."), Shown(default="the usual names")
    ] = None
    chunk_characters: Annotated[
        int, Field(ge=100, description="Longer sections are divided at sentence ends into passages of this length.")
    ] = CHUNK_CHARACTERS
    seed: Annotated[
        int, Field(ge=0, le=2**32 - 2, description="Without a language model: seed of everything random.")
    ] = 42
    questions: Annotated[int, Field(ge=1, le=20, description="Language model: questions per passage.")] = 2
