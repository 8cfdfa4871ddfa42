"""Counts the requests and tokens that `synthesize` with a language model takes, and their cost at given prices.

    python benchmarks/synthesis_costs.py --data ../shared/data

MedQuAD's answers are cut into passages as `synthesize` cuts documents. The prompts are made by the code that makes
them, for --passages of these, spread evenly; nothing is sent. Questions are MedQuAD's own, --questions for each
passage. Tokens are those of all-MiniLM-L6-v2 and, for comparison, a fourth of the characters: the tokenizer of another
model counts somewhat differently. The JSON schema that goes along with every prompt is counted too, since some servers
bill it. Answers are taken to hold nothing but the JSON that is asked for. --price-in and --price-out are the prices of
a million tokens.

The last line is one JSON object: requests, input and output tokens per 1,000 passages of asking and of judging.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from samples import rows_of
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from registry import resolve_base_model
from training.judges.llm_judge import Grades, LlmJudge, PassageGrade
from training.llm.chat import Prompt
from training.llm.spending import Prices
from training.synthesis.documents import Document
from training.synthesis.llm_questions import Questions, ask_pairs
from training.synthesis.outlines import Section
from training.synthesis.passages import Passage, cut_passages


class CountingModel:
    """Stands for a language model: keeps what it is sent, and gives prepared answers."""

    name, url = "counted", "http://nowhere/v1"

    def __init__(self, answers: Any) -> None:
        self._answers = answers
        self.sent: list[str] = []
        self.schemas: list[str] = []
        self.received: list[str] = []

    def ask_all(self, prompts: Sequence[Prompt[Any]], what: str) -> list[Any]:
        """The next answers; see :meth:`training.llm.chat.ChatModel.ask_all`."""
        given = [next(self._answers) for _ in prompts]
        self.sent += [prompt.text for prompt in prompts]
        self.schemas += [json.dumps(prompt.form.model_json_schema()) for prompt in prompts]
        self.received += [answer.model_dump_json() for answer in given]
        return given


def main() -> None:
    """Make the prompts, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--passages", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=2, help="per passage")
    parser.add_argument("--price-in", type=float, default=0.0, help="of a million input tokens")
    parser.add_argument("--price-out", type=float, default=0.0, help="of a million output tokens")
    arguments = parser.parse_args()
    rows = rows_of(arguments.data / "medquad.jsonl.gz")
    passages = _spread(_passages(rows), arguments.passages)
    questions = _spread([str(row["question"]) for row in rows], len(passages) * arguments.questions)
    asking, judging = _models(questions, arguments.questions)
    pairs = ask_pairs(passages, asking, arguments.questions)  # type: ignore[arg-type]
    LlmJudge(judging).grade([(pair.question, [pair.answer]) for pair in pairs])  # type: ignore[arg-type]
    tokenizer = AutoTokenizer.from_pretrained(str(resolve_base_model().path))
    factor = 1000 / len(passages)
    found = {name: _counts(model, tokenizer, factor) for name, model in (("asking", asking), ("judging", judging))}
    _print(found, Prices(arguments.price_in, arguments.price_out))
    characters = sum(len(passage.text) for passage in passages) / len(passages)
    print(json.dumps({"passages": len(passages), "characters_per_passage": round(characters), **found}))


def _passages(rows: Sequence[dict[str, Any]]) -> list[Passage]:
    return cut_passages(Document(str(number), "", (Section("", row["answer"]),)) for number, row in enumerate(rows))


def _spread(items: list[Any], count: int) -> list[Any]:
    return [items[index * len(items) // count] for index in range(min(count, len(items)))]


def _models(questions: list[str], count: int) -> tuple[CountingModel, CountingModel]:
    asked = (Questions(questions=questions[start : start + count]) for start in range(0, len(questions), count))
    return CountingModel(asked), CountingModel(cycle([Grades(grades=[PassageGrade(passage=1, grade=2)])]))


def _counts(model: CountingModel, tokenizer: PreTrainedTokenizerBase, factor: float) -> dict[str, int]:
    def tokens(texts: Sequence[str]) -> int:
        return sum(map(len, tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]))

    counts = {
        "requests": len(model.sent),
        "tokens_in": tokens(model.sent),
        "tokens_of_schemas": tokens(model.schemas),
        "tokens_out": tokens(model.received),
        "quarter_of_characters_in": sum(map(len, model.sent)) // 4,
        "quarter_of_characters_out": sum(map(len, model.received)) // 4,
    }
    return {name: round(count * factor) for name, count in counts.items()}


def _print(found: dict[str, dict[str, int]], prices: Prices) -> None:
    table = Table(title="per 1,000 passages")
    for column in ("", *next(iter(found.values())), "cost"):
        table.add_column(column.replace("_", " "), justify="right")
    for name, counts in found.items():
        cost = prices.cost(counts["tokens_in"] + counts["tokens_of_schemas"], counts["tokens_out"])
        table.add_row(name, *(f"{count:,}" for count in counts.values()), f"{cost:.4f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
