"""Measures how the last message of a conversation is routed, alone and with the earlier ones.

    OMP_NUM_THREADS=1 python benchmarks/conversations.py --data ../shared/data

Conversations of two messages are made by rule. Of CLINC150, whose 150 intents are routes of ten training queries each,
in one space of all-MiniLM-L6-v2, with thresholds fitted to the validation queries alone:

- `follow-up`: a query, then "what about" and the last three words of another query of the same intent;
- `change`: a query, then a whole one of another domain;
- `change, out of scope`: a query, then one that no route fits.

Of MedicationQA (with --part val, of MedQuAD's source CDC), with the ready-made medical domain:

- `it`: a question, then another one about the same thing, which is named "it". Right is the domain `medical`.
- `change, everyday`: such a question, then an everyday query of CLINC150. Right is the domain `general`.

`alone` routes the last message without the others, `joined` always behind the message before it, and `router` as the
router does. --part val is what the rule was chosen on. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from rich.console import Console
from rich.table import Table

from registry import GENERAL, Registry
from router_plugin import Decision, DomainRouter, Route, Settings, Tuner
from training import add_ready_made

UTTERANCES = 10
CONVERSATIONS = 500
EVERYDAY = ("home", "kitchen_and_dining", "travel", "utility", "small_talk", "auto_and_commute")


class Conversation(NamedTuple):
    """A first message, a second one, and the route or domain that is right for the second."""

    first: str
    second: str
    right: str | None


WAYS: dict[str, Callable[[DomainRouter, Conversation], Decision]] = {
    "alone": lambda router, each: router.route(each.second),
    "joined": lambda router, each: router.route(f"{each.first} {each.second}"),
    "router": lambda router, each: router.route(each.second, [{"role": "user", "content": each.first}]),
}


def main() -> None:
    """Make conversations, route them, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--part", choices=("val", "test"), default="test")
    arguments = parser.parse_args()
    clinc = _read(arguments.data / "clinc150.jsonl.gz")
    medical = (
        [row for row in _read(arguments.data / "medquad.jsonl.gz") if row["source"] == "CDC"]
        if arguments.part == "val"
        else _read(arguments.data / "medicationqa.jsonl.gz")
    )
    results = {**_intents(clinc, arguments.part), **_domains(clinc, medical, arguments.part)}
    table = Table("conversation", "number", *WAYS, title=f"right, part {arguments.part}")
    for name, found in results.items():
        table.add_row(name, str(found["conversations"]), *(f"{found[way]:.4f}" for way in WAYS))
    Console().print(table)
    print(json.dumps({"part": arguments.part, **results}))


def _intents(rows: Sequence[dict[str, Any]], part: str) -> dict[str, dict[str, float]]:
    """The routes of CLINC150's conversations."""
    texts: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    domains = {row["intent"]: row["domain"] for row in rows}
    for row in rows:
        texts[row["part"], row["intent"]].append(row["text"])
    intents = [intent for intent in domains if intent]
    routes = [Route(name=intent, utterances=tuple(texts["train", intent][:UTTERANCES])) for intent in intents]
    draw = random.Random(0)
    asked = [(text, intent) for intent in intents for text in texts[part, intent]]
    asked = draw.sample(asked, min(CONVERSATIONS, len(asked)))
    outside = texts[part, None]
    made = {
        "follow-up": [Conversation(text, _ellipsis(draw.choice(texts[part, name])), name) for text, name in asked],
        "change": [
            Conversation(text, *draw.choice([other for other in asked if domains[other[1]] != domains[name]]))
            for text, name in asked
        ],
        "change, out of scope": [Conversation(text, draw.choice(outside), None) for text, _ in asked],
    }
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(strategy="single", device="cpu", backend="torch")
        with DomainRouter(routes, str(Path(folder) / "registry"), settings=settings) as router:
            known = [(text, intent) for intent in (*intents, None) for text in texts["val", intent]]
            Tuner(router).fit(*zip(*known, strict=True))
            return {name: _right(router, each, lambda decision: decision.route) for name, each in made.items()}


def _domains(
    clinc: Sequence[dict[str, Any]], medical: Sequence[dict[str, Any]], part: str
) -> dict[str, dict[str, float]]:
    """The domains of conversations about medicines or illnesses."""
    about: dict[str, list[str]] = defaultdict(list)
    for row in medical:
        if (row.get("focus") or "").lower() in row["question"].lower() and row["focus"]:
            about[row["focus"].lower()].append(row["question"])
    draw = random.Random(0)
    everyday = [row["text"] for row in clinc if row["part"] == part and row["domain"] in EVERYDAY]
    pairs = [
        (*draw.sample(sorted(set(asked)), 2), focus) for focus, asked in sorted(about.items()) if len(set(asked)) > 1
    ][:CONVERSATIONS]
    made = {
        "it": [Conversation(one, _replaced(other, focus), "medical") for one, other, focus in pairs],
        "change, everyday": [Conversation(one, draw.choice(everyday), GENERAL) for one, _, _ in pairs],
    }
    routes = [
        Route(name="medical", domain="medical", utterances=("what are the side effects of this drug", "who gets it")),
        Route(name="everyday", domain=GENERAL, utterances=("tell me a joke", "set an alarm", "book a table")),
    ]
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry.open(str(Path(folder) / "registry"))
        add_ready_made("medical", registry)
        with DomainRouter(routes, registry, settings=Settings(device="cpu", backend="torch")) as router:
            return {name: _right(router, each, lambda decision: decision.domain) for name, each in made.items()}


def _right(
    router: DomainRouter, conversations: Sequence[Conversation], answer: Callable[[Decision], str | None]
) -> dict[str, float]:
    """The fraction that is right in each way."""
    return {
        "conversations": len(conversations),
        **{
            way: sum(answer(route(router, each)) == each.right for each in conversations) / max(len(conversations), 1)
            for way, route in WAYS.items()
        },
    }


def _ellipsis(text: str) -> str:
    return "what about " + " ".join(text.split()[-3:])


def _replaced(question: str, focus: str) -> str:
    start = question.lower().index(focus)
    return f"{question[:start]}it{question[start + len(focus) :]}"


def _read(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    main()
