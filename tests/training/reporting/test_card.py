"""The model card: read back, it has the report's figures, and names it does not know cannot change its structure."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from registry.records import BaseModelRecord, DatasetRecord
from tests.conftest import ROOT
from training.reporting.card import CARD, model_card
from training.reporting.report import Baseline, TrainingReport
from training.retrieval.metrics import HEADLINE

HOSTILE = "a\"b: 'c'\n---\n# d <b>e</b> | `f` ``g`` [h](i) *j* _k_ \\ \u2028 \ud800 &amp; {{ l }}"
HEADINGS = ["Use", "Results on 16 held-out queries", "Training"]


def tokens(card: ModelCard) -> list:
    """The Markdown of a card, every inline token too."""
    read = MarkdownIt("commonmark").enable("table").parse(card.text)
    return [*read, *(child for token in read for child in token.children or ())]


def headings(card: ModelCard) -> list[str]:
    read = MarkdownIt("commonmark").parse(card.text)
    return [after.content for token, after in pairwise(read) if token.type == "heading_open"]


def figures(card: ModelCard) -> dict[str, dict[str, float]]:
    """Every metric of a card's model-index by the name of the test set."""
    found: dict[str, dict[str, float]] = {}
    for each in card.data.eval_results:
        found.setdefault(each.dataset_type, {})[each.metric_type] = each.metric_value
    return found


def expected_figures(report: TrainingReport) -> dict[str, dict[str, float]]:
    return {
        name: {
            **{metric: found.adapted[metric] for metric in HEADLINE},
            **{f"base_{metric}": found.base[metric] for metric in HEADLINE},
        }
        for name, found in report.evaluations.items()
    }


def test_the_card_of_a_trained_model_reads_back_with_the_figures_of_its_report(trained):
    card = ModelCard.load(trained.out / CARD)
    assert figures(card) == expected_figures(trained.report)
    (own,) = {(each.dataset_name, each.dataset_revision) for each in card.data.eval_results}
    assert own == ("words, held out", trained.data.fingerprint)
    assert card.data.tags == ["sentence-transformers", "domain-router", "words"]
    assert (card.data.library_name, card.data.pipeline_tag) == ("sentence-transformers", "sentence-similarity")
    assert headings(card)[1:] == HEADINGS


def test_a_base_model_in_a_folder_is_not_given_as_one_on_the_hub(trained, tiny_base):
    card = ModelCard.load(trained.out / CARD)
    assert card.data.base_model is None
    assert str(tiny_base.path.parent) not in card.content
    assert headings(card)[0] == f"{tiny_base.path.name}, adapted to words"


@pytest.mark.parametrize(
    ("name", "hub_id"),
    [("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"), ("BAAI/bge-m3", "BAAI/bge-m3")],
)
def test_a_base_model_on_the_hub_is_given_by_its_whole_id(trained, name, hub_id):
    base = BaseModelRecord(name=name, weights_sha256="5" * 64)
    card = ModelCard(model_card(trained.report.model_copy(update={"base_model": base})))
    assert card.data.base_model == hub_id


def test_hostile_names_are_shown_as_they_are(trained):
    report, dataset = trained.report, DatasetRecord(fingerprint="f" * 64, counts={"train_queries": 3})
    sets = {"no": report.evaluations["test"], HOSTILE: report.evaluations["test"]}
    card = ModelCard(
        model_card(
            report.model_copy(
                update={
                    "domain": "yes",
                    "base_model": BaseModelRecord(name=f"/models/{HOSTILE}", weights_sha256="5" * 64),
                    "recipe": HOSTILE,
                    "judge": HOSTILE,
                    "mixed": {HOSTILE: dataset},
                    "extra_test_sets": sets,
                    "single_set_baselines": {HOSTILE: Baseline(model=HOSTILE, test=report.base_metrics["test"])},
                    "options": {HOSTILE: HOSTILE},
                }
            )
        )
    )
    assert card.data.tags[-1] == "yes"
    assert list(figures(card)) == ["test", "no", HOSTILE]
    assert headings(card)[1:] == HEADINGS
    kinds = {token.type for token in tokens(card)}
    assert not kinds & {"html_block", "html_inline", "em_open", "hr", "image"}
    links = {token.attrs["href"] for token in tokens(card) if token.type == "link_open"}
    assert links == {"https://pypi.org/project/domain-router/"}
    shown = " ".join(HOSTILE.encode("utf-8", "replace").decode().split())
    codes = [token.content for token in tokens(card) if token.type == "code_inline"]
    assert codes.count(shown) == 3  # recipe, judge, the set that is mixed in
    texts = ["".join(child.content for child in token.children or ()) for token in tokens(card)]
    assert texts.count(shown) == 5  # a test set, a baseline and its model, the option and its value


@pytest.mark.parametrize("folder", sorted(path.parent for path in (ROOT / "models").glob("*/report.json")))
def test_the_card_of_a_ready_made_domain_is_that_of_its_report(folder: Path):
    written, _, by_hand = (folder / CARD).read_text(encoding="utf-8").partition("\n## Data and licence\n")
    report = TrainingReport.load(folder)
    assert written == model_card(report), "run python models/refresh_cards.py"
    assert figures(ModelCard.load(folder / CARD)) == expected_figures(report)
    assert "licensed" in by_hand
