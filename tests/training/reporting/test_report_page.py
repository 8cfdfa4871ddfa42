"""The page of a run: sections in order, well-formed, harmless whatever the data say, and of bounded size."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from registry.storage.file_lists import digest_of, list_files
from tests.training.samples import QUICK, prepared, word_pairs
from training import TrainingJob, adapt
from training.mining.examples import Examples
from training.reporting.evidence import BEYOND, Change, Evidence, Example, first_ranks, sample_examples
from training.reporting.maps import Map, Maps
from training.reporting.report_page import PAGE, report_page, write_page
from training.reporting.verdicts import hybrid_line
from training.retrieval.metrics import query_metrics
from training.retrieval.texts import Texts
from training.sources.pairs import Pair

SECTIONS = [
    "Test sets",
    "Metrics by iteration",
    "Query by query",
    "Ranks",
    "Training examples",
    "Map of the embeddings",
    "Options",
    "Lineage",
]
ALONE = {"meta"}


class Reader(HTMLParser):
    """Refuses what is not closed in order; remembers tags, addresses and headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.headings: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data")]
        assert not any(name.startswith("on") for name, _ in attributes)
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["h2"]:
            self.headings.append(data)


def test_the_page_has_its_sections_in_order_and_loads_nothing(trained):
    text = (trained.out / PAGE).read_text(encoding="utf-8")
    read = Reader(text)
    assert read.headings == SECTIONS
    assert read.addresses == [] and not read.tags & {"script", "link", "img", "iframe", "object"}
    assert "default-src 'none'; style-src 'unsafe-inline'" in text  # no script may run
    assert not re.search(r"https?://|@import|url\(", text)
    assert f"{trained.report.adapted_metrics['test']['mrr@5']:.4f}" in text
    assert trained.report.dataset.fingerprint in text
    assert hybrid_line(trained.report) in text
    assert text.count("<th ") == text.count("scope=") and "style=" not in text and "<th>" not in text


def test_ranks_are_those_that_the_metrics_are_made_of():
    ranked = np.array([np.random.default_rng(row).permutation(100) for row in range(20)])
    relevant = [{row, row + 50, 100 + row} for row in range(20)]
    ranks = first_ranks(ranked, relevant)
    assert (np.where(ranks <= 10, 1 / ranks, 0) == query_metrics(ranked, relevant)["mrr@10"]).all()
    assert first_ranks(ranked[:1], [{100}]).tolist() == [BEYOND]


@pytest.mark.slow
@pytest.mark.parametrize("said", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</title></svg><b>"])
def test_what_the_data_say_is_shown_and_not_run(tmp_path, tiny_base, said):
    pairs = [Pair(f"{said} {pair.question}", f"{pair.answer} {said}") for pair in word_pairs()[:24]]
    adapt(TrainingJob(prepared(pairs, tmp_path / "data"), "words", tiny_base, QUICK, device="cpu"), tmp_path / "out")
    text = (tmp_path / "out" / PAGE).read_text(encoding="utf-8")
    assert said not in text
    assert Reader(text).headings == SECTIONS
    assert not Reader(text).tags & {"script", "img", "b"}


def test_the_page_is_small_whatever_the_data(tmp_path, trained):
    long, points = "<&\ud800>" * 200_000, np.random.default_rng(0).random((80, 2))
    changes = [Change(long, long, 1, BEYOND, long)] * 20
    rows = [Example(query=long, positive=long, negatives=[long] * 9)] * 6
    evidence = Evidence(
        before=np.full(100_000, 1),
        after=np.full(100_000, BEYOND),
        worse=changes,
        better=changes,
        examples={f"iteration-{number}": rows for number in range(50)},
        maps=Maps(np.arange(80), [long] * 80, Map(points, points, points), Map(points, points, points)),
    )
    many = trained.report.model_copy(update={"iterations": trained.report.iterations * 1000})
    write_page(tmp_path, report_page(many, evidence))
    assert (tmp_path / PAGE).stat().st_size < 2_000_000
    nothing = replace(evidence, worse=[], better=[], examples={}, maps=None)
    assert Reader(report_page(trained.report, nothing)).headings == SECTIONS


def test_examples_of_every_recipe_can_be_shown(trained):
    texts = Texts(trained.data)
    labelled = sample_examples(Examples({"anchor": texts.queries["train"][:2], "label": [0, 1]}), texts)
    assert [example.negatives for example in labelled] == [[], []]
    assert labelled[0].positive == texts.documents[min(texts.relevant["train"][0])]
    mined = Examples({"anchor": ["a"], "positive": ["b"], "negative_1": ["c"], "negative_2": ["d"]})
    assert sample_examples(mined, texts) == [Example(query="a", positive="b", negatives=["c", "d"])]


def test_the_page_is_not_registered(trained, tmp_path):
    digest = digest_of(trained.out)
    assert PAGE not in {file.path for file in list_files(trained.out)}
    kept = (trained.out / PAGE).read_bytes()
    (trained.out / PAGE).unlink()
    try:
        assert digest_of(trained.out) == digest
    finally:
        (trained.out / PAGE).write_bytes(kept)
