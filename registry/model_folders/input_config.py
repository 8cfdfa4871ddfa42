"""How a model takes its texts: the one rule that says which prompt a text gets, and the limit it is cut at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pydantic

from registry.errors import BaseModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn

Kind = Literal["query", "document"]
"""What a text is to a model, which may have another prompt or other weights for each."""

MODEL_CONFIG = "config_sentence_transformers.json"
TRANSFORMER_CONFIG = "sentence_bert_config.json"

NO_LIMIT = 1 << 30
"""A maximum length from here on is none: transformers writes a huge number where a model has no limit."""

_POSITIONS = ("position_embeddings", "position_embedding", "embed_positions", "wpe")
"""Names that transformers give their table of positions."""
_DOCUMENT_NAMES = ("document", "passage", "corpus")
"""Names that models give the prompt for documents."""


@dataclass(frozen=True)
class InputConfig:
    """The prompts and the maximum length of a model.

    Attributes:
        prompts: by name; ``query`` and ``document`` are always among them. A prompt for documents that is called
            otherwise (``passage``, ``corpus``) is taken for ``document``, as sentence-transformers adds an empty prompt
            ``document``, which would hide it.
        default_prompt_name: of the prompt for texts that are said to be neither. Queries and documents never get it,
            just as in sentence-transformers.
        max_length: tokens that a text is cut at; None where the model sets no limit.
    """

    prompts: Mapping[str, str]
    default_prompt_name: str | None
    max_length: int | None

    @classmethod
    def of(cls, model: SentenceTransformer) -> InputConfig:
        """That of a model in memory."""
        return _config(model.prompts, model.default_prompt_name, model.max_seq_length)

    @classmethod
    def of_folder(cls, folder: Path, base: InputConfig) -> InputConfig:
        """That of a folder: of an adapter, which was trained with its own prompts and length, or of a whole model.

        Args:
            folder: of the model.
            base: for what the folder does not say: that of an adapter's base model.

        Raises:
            BaseModelError: the folder's configuration cannot be read.
        """
        model, transformer = _read(folder / MODEL_CONFIG, _Model), _read(folder / TRANSFORMER_CONFIG, _Transformer)
        prompts = base.prompts if model.prompts is None else model.prompts
        return _config(prompts, model.default_prompt_name, transformer.max_seq_length or base.max_length)

    def prompt(self, kind: Kind) -> str:
        """What is put before a text of that kind."""
        return self.prompts[kind]

    def apply(self, model: SentenceTransformer) -> None:
        """Let a model in memory take its texts so."""
        model.prompts = dict(self.prompts)
        model.default_prompt_name = self.default_prompt_name
        if self.max_length not in (None, model.max_seq_length):
            model.max_seq_length = self.max_length


def position_limit(transformer: nn.Module) -> int | None:
    """The longest text in tokens for which a transformer has positions; None where their number has no end.

    A table of positions may have rows that no token gets: RoBERTa and its kin begin to count behind the padding token,
    so that 512 of 514 rows can be used; BART and OPT begin at an offset of their own.
    """
    limits = []
    for module in transformer.modules():
        for name in _POSITIONS:
            table: Any = getattr(module, name, None)
            if hasattr(table, "num_embeddings"):
                padding = getattr(table, "padding_idx", None)
                limits.append(table.num_embeddings - (getattr(table, "offset", 0) if padding is None else padding + 1))
    return min(limits, default=None)


class _Model(pydantic.BaseModel):
    """What is read of ``config_sentence_transformers.json``."""

    prompts: dict[str, str | None] | None = None
    default_prompt_name: str | None = None


class _Transformer(pydantic.BaseModel):
    """What is read of ``sentence_bert_config.json``."""

    max_seq_length: int | None = pydantic.Field(None, gt=0)


_File = TypeVar("_File", bound=pydantic.BaseModel)


def _config(given: Mapping[str, str | None], default: str | None, max_length: float | None) -> InputConfig:
    prompts = {name: prompt or "" for name, prompt in given.items()}
    document = next(filter(None, map(prompts.get, _DOCUMENT_NAMES)), "")
    complete = {"query": "", **prompts, "document": document}
    limit = int(max_length) if max_length is not None and max_length < NO_LIMIT else None
    return InputConfig(complete, default, limit)


def _read(path: Path, kind: type[_File]) -> _File:
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{path} cannot be read: {error}") from error
