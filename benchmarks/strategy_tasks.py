"""The four tasks of strategies.py: the training data of each domain, and the test queries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from samples import spread

from registry import GENERAL
from router_plugin import Route
from router_plugin.comparison.tasks import Question, Task
from training import (
    PreparedData,
    PrepareOptions,
    SplitOptions,
    prepare,
    prepare_labels,
    read_labels,
    read_pairs,
    read_prepared,
)
from training.prepared.format import Qrels
from training.prepared.preparation import write_folder
from training.sources.labels import Labelled, Labels
from training.sources.pairs import Pairs
from training.splitting.splits import random_split
from training.tables.options import ReadOptions
from training.tables.rows import read_rows

FINANCE = Path(__file__).parents[1] / "examples" / "data" / "finance.jsonl"
MEDICAL = 1000
"""Number of MedQuAD pairs."""
EVERY = 7
"""Every 7th 10-K question is used."""
PAIRS_AN_EXAMPLE = 20
SEED = 42
DEV = {"dev": "val"}
"""What CLINC150 calls the dev split."""
SMALL = "information"
"""HWU64's domains of a single intent, in which a model would have nothing to tell apart, are one domain here."""
OTHER_NAMES = {"general": "talk", "weather": SMALL, "cooking": SMALL, "news": SMALL}
"""For domains of HWU64."""


@dataclass(frozen=True)
class Trial:
    """Prepared data by domain, and the task on which models trained on them are compared."""

    data: dict[str, PreparedData]
    task: Task


@dataclass(frozen=True)
class Given:
    """The options of a trial.

    Attributes:
        sources: folder of the data sets.
        folder: folder for prepared data.
        examples: number of texts per intent in each part, and 1/20 of the number of pairs per domain; None for all.
        part: the part to measure on: ``test``, or ``dev`` for choosing.
        whole_test: use the whole test split, whatever ``examples`` is.
    """

    sources: Path
    folder: Path
    examples: int | None
    part: str
    whole_test: bool = False

    def most(self, split: str) -> int | None:
        """Maximum number of texts per intent in a split."""
        return None if self.whole_test and split == "test" else self.examples

    def kept(self, name: str, write: Callable[[Path], Any]) -> PreparedData:
        """Read prepared data, written by ``write`` unless an earlier run has."""
        if not (self.folder / name).exists():
            write(self.folder / name)
        return read_prepared(self.folder / name)

    def pairs(self, source: Path, most: int | None = None, every: int = 1, **columns: str) -> Pairs:
        """Pairs of a source with these column values: every ``every``-th, evenly spread, at most ``most`` of them."""
        found = read_pairs(str(source), ReadOptions(columns=tuple(columns)))
        wanted = [pair for pair in found.pairs if columns.items() <= pair.columns.items()]
        return spread(Pairs(found.source, wanted[::every]), self.examples * PAIRS_AN_EXAMPLE if self.examples else most)


def clinc(given: Given) -> Trial:
    """CLINC150: 150 intents in ten domains, and out-of-scope queries."""
    return _intents(given, _labels(given, "clinc150"), _of_no_intent)


def banking(given: Given) -> Trial:
    """BANKING77 as one domain in addition to CLINC150's ten."""
    return _intents(given, _labels(given, "clinc150") | _labels(given, "banking77"), _of_no_intent)


def banking_alone(given: Given) -> Trial:
    """BANKING77 as the only domain."""
    return _intents(given, _labels(given, "banking77"), _of_no_intent)


def hwu64(given: Given) -> Trial:
    """HWU64: 64 intents of a home assistant in 18 domains; out of scope are questions of BANKING77."""
    return _intents(given, _labels(given, "hwu64"), _of_banks)


def retrieval(given: Given) -> Trial:
    """Answers to medical, finance and policy questions in one collection; no model is trained on 10-K questions."""
    medquad, filings, policies = (given.sources / f"{name}.jsonl.gz" for name in ("medquad", "finance10k", "policyqa"))
    data = {
        "medical": given.kept("medical", lambda out: prepare(given.pairs(medquad, MEDICAL), out)),
        "finance": given.kept("finance", lambda out: prepare(given.pairs(FINANCE), out)),
        "policy": given.kept("policy", lambda out: _by_question(given.pairs(policies, part="dev"), out)),
    }
    if given.part == "dev":
        return Trial(data, _pooled(data, "dev"))
    measured = PrepareOptions(split="test")
    asked = {
        "medical": data["medical"],
        "finance": given.kept("10-k", lambda out: prepare(given.pairs(filings, every=EVERY), out, measured)),
        "policy": given.kept("policies", lambda out: prepare(given.pairs(policies, part="test"), out, measured)),
    }
    return Trial(data, _pooled(asked, "test"))


TASKS: dict[str, Callable[[Given], Trial]] = {
    "clinc": clinc,
    "banking": banking,
    "retrieval": retrieval,
    "hwu64": hwu64,
}


def _labels(given: Given, name: str) -> dict[str, Labels]:
    """Labelled texts by domain. A file without domains is one domain with the file's name."""
    source = str(given.sources / f"{name}.jsonl.gz")
    texts = _few(read_labels(source, ReadOptions(columns=("domain",), skip_bad=True)).texts, given)
    domains: dict[str, list[Labelled]] = defaultdict(list)
    for each in texts:
        domain = each.columns.get("domain", name)
        domains[OTHER_NAMES.get(domain, domain).replace("_", "-")].append(each)
    return {domain: Labels(source, members) for domain, members in domains.items()}


def _few(texts: Sequence[Labelled], given: Given) -> list[Labelled]:
    """So many of each label in each part."""
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for each in texts:
        key = each.label, each.columns["part"]
        seen[key] += 1
        most = given.most(each.columns["part"])
        if most is None or seen[key] <= most:
            kept.append(each)
    return kept


def _intents(given: Given, labels: Mapping[str, Labels], outside: Callable[[Given, str], list[str]]) -> Trial:
    """Every intent as a route, whose utterances are its training texts; thresholds are fitted to the dev split.

    Args:
        given: the options.
        labels: the texts of each domain.
        outside: the out-of-scope queries of a split.
    """
    published = SplitOptions(split="random")
    data = {
        domain: given.kept(domain, partial(prepare_labels, found, options=published))
        for domain, found in labels.items()
    }
    route = {(domain, each.text): f"{domain}/{each.label}" for domain, found in labels.items() for each in found.texts}
    utterances: dict[tuple[str, str], list[str]] = defaultdict(list)
    for domain, each in data.items():
        for text in (*each.corpus.values(), *(each.queries[query] for query in each.qrels["train"])):
            utterances[domain, route[domain, text]].append(text)
    routes = tuple(Route(name=name, domain=domain, utterances=tuple(t)) for (domain, name), t in utterances.items())
    asked = {
        split: (
            *(
                Question(each.queries[query], domain, (route[domain, each.queries[query]],))
                for domain, each in data.items()
                for query in each.qrels[split]
            ),
            *(Question(text, GENERAL, ()) for text in outside(given, split)),
        )
        for split in ("dev", "test")
    }
    return Trial(data, Task(routes, asked[given.part], asked["dev"]))


def _of_no_intent(given: Given, split: str) -> list[str]:
    """CLINC150's out-of-scope queries."""
    return _outside(
        given, "clinc150", split, lambda row: row["intent"] is None and row["part"] == DEV.get(split, split)
    )


def _of_banks(given: Given, split: str) -> list[str]:
    """Questions of BANKING77: every sixth of the test part, and for the dev split every 30th of the training part."""
    part, every = ("train", 30) if split == "dev" else ("test", 6)
    return _outside(given, "banking77", split, lambda row: row["part"] == part)[::every]


def _outside(given: Given, name: str, split: str, wanted: Callable[[Mapping[str, Any]], bool]) -> list[str]:
    """The texts of some rows of a data set."""
    rows = (row.fields or {} for row in read_rows(given.sources / f"{name}.jsonl.gz"))
    texts = [row["text"] for row in rows if wanted(row)]
    most = given.most(split)
    return texts if most is None else texts[: PAIRS_AN_EXAMPLE * most]


def _by_question(pairs: Pairs, out: Path) -> None:
    """Prepare pairs split by question only: the questions share too many answers to separate those as well."""
    whole = out.with_name(f"{out.name}-whole")
    prepare(pairs, whole, PrepareOptions(split="test"), overwrite=True)
    found = read_prepared(whole)
    asked = list(found.qrels["test"].items())
    split = random_split(len(asked), 0.1, SEED)
    parts = {"train": split.train, "dev": split.dev, "test": split.test}
    qrels: dict[str, Qrels] = {part: dict(asked[row] for row in rows) for part, rows in parts.items()}
    counts = {"pairs": len(pairs.pairs)}
    write_folder(out, found.corpus, found.queries, qrels, kind="pairs", source=pairs.source, options={}, counts=counts)


def _pooled(data: Mapping[str, PreparedData], split: str) -> Task:
    """Make every document a route of its domain. Any document of a question is right, and there are no thresholds."""
    routes = [
        Route(name=f"{domain}/{key}", domain=domain, utterances=(text,))
        for domain, each in data.items()
        for key, text in each.corpus.items()
    ]
    questions = [
        Question(each.queries[query], domain, tuple(f"{domain}/{answer}" for answer in answers))
        for domain, each in data.items()
        for query, answers in each.qrels[split].items()
    ]
    return Task(tuple(routes), tuple(questions))
