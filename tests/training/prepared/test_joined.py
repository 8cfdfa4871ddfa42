"""Several sets, one model: each is ranked and measured over its own documents, and has its share of the batches."""

import numpy as np
import pytest

from registry import InvalidNameError
from registry.gates.query_metrics import FILE_NAME, parse_query_metrics
from registry.gates.significance import compare
from tests.training.samples import QUICK, filler_pairs, prepared, word_pairs
from training import Contrastive, ReferenceTriplet, TrainingError, TrainingJob, adapt
from training.mining.examples import batches_of
from training.prepared.joined import complete_batch_shares, join
from training.recipes.finetune import finetune
from training.reporting.report import Baseline, TrainingReport
from training.retrieval.ranking import NOTHING, ranked, ranking
from training.retrieval.texts import Texts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two sets: one of 55 pairs, and one of 30."""
    folder = tmp_path_factory.mktemp("sets")
    return {
        "words": prepared(word_pairs(), folder / "words", test_size=0.3),
        "fillers": prepared(filler_pairs(), folder / "fillers", test_size=0.3),
    }


@pytest.fixture(scope="module")
def alone(sets, tiny_base, tmp_path_factory):
    """The folders of the models that are trained on each set alone."""
    out = tmp_path_factory.mktemp("alone")
    for name, data in sets.items():
        adapt(TrainingJob(data, name, tiny_base, QUICK, device="cpu"), out / name)
    return {name: out / name for name in sets}


def train_both(sets, alone, tiny_base, out):
    """One model of both, three quarters of whose batches are words."""
    return adapt(
        TrainingJob(
            sets,
            "both",
            tiny_base,
            QUICK,
            batch_shares={"fillers": 0.25},
            single_set_baselines={name: TrainingReport.load(folder) for name, folder in alone.items()},
            max_loss={"fillers": 1.0},
            device="cpu",
        ),
        out,
    )


@pytest.fixture(scope="module")
def joint(sets, alone, tiny_base, tmp_path_factory):
    """The folder of one model of both, its report, and the data it was trained on."""
    trained_on = []
    out = tmp_path_factory.mktemp("joint") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "training.recipes.distributed.finetune",
            lambda model, each, *rest: trained_on.append(each) or finetune(model, each, *rest),
        )
        report = train_both(sets, alone, tiny_base, out)
    return out, report, trained_on[0]


def unit(count, seed):
    vectors = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_each_span_of_queries_is_ranked_over_its_own_documents():
    queries, documents = unit(7, 0), unit(30, 1)
    scores, positions = ranked(queries, documents, 10, [(slice(0, 4), slice(0, 24)), (slice(4, 7), slice(24, 30))])
    assert np.array_equal(positions[:4], ranking(queries[:4], documents[:24], 10))
    assert np.array_equal(positions[4:, :6], ranking(queries[4:], documents[24:], 10) + 24)
    assert (positions[4:, 6:] == NOTHING).all() and np.isneginf(scores[4:, 6:]).all()
    assert np.allclose(scores[0], documents[positions[0]] @ queries[0])


def test_joined_sets_keep_their_relevance_and_lie_one_after_the_other(sets):
    data = join(sets)
    texts = Texts(data)
    for part in ("train", "dev", "test"):
        expected = [
            (each.queries[query], {each.corpus[document] for document in documents})
            for each in sets.values()
            for query, documents in each.qrels[part].items()
        ]
        found = [
            (query, {texts.documents[position] for position in wanted})
            for query, wanted in zip(texts.queries[part], texts.relevant[part], strict=True)
        ]
        assert found == expected
        for (asking, of), each in zip(texts.spans(part), sets.values(), strict=True):
            assert texts.queries[part][asking] == [each.queries[query] for query in each.qrels[part]]
            assert texts.documents[of] == list(each.corpus.values())


def test_one_set_is_the_set_itself(sets):
    assert join({"words": sets["words"]}) is sets["words"]
    assert Texts(sets["words"]).spans("dev") == [
        (slice(0, len(sets["words"].qrels["dev"])), slice(0, len(sets["words"].corpus)))
    ]


def test_the_fingerprint_tells_which_sets_are_joined(sets):
    others = {"words": sets["fillers"], "fillers": sets["words"]}
    assert len({join(sets).fingerprint, join(others).fingerprint, sets["words"].fingerprint}) == 3


def test_a_batch_is_of_one_set_and_each_set_has_its_fraction_of_the_batches(sets, joint):
    _, _, examples = joint
    texts = {
        name: {*data.corpus.values(), *(data.queries[query] for query in data.qrels["train"])}
        for name, data in sets.items()
    }
    owners = [
        [name for name, own in texts.items() if own.issuperset(text for column in batch.values() for text in column)]
        for batch in batches_of(examples)
    ]
    assert all(len(owner) == 1 for owner in owners)
    assert abs(owners.count(["fillers"]) - 0.25 * len(owners)) < 1


def test_each_set_is_measured_as_it_is_alone_and_all_count_the_same(joint, alone):
    _, report, _ = joint
    for name, folder in alone.items():
        single = TrainingReport.load(folder)
        assert report.extra_test_sets[name].base == pytest.approx(single.base_metrics["test"])
        assert report.joined[name] == single.dataset
    for side in ("base", "adapted"):
        own = [getattr(report.extra_test_sets[name], side)["mrr@5"] for name in alone]
        assert getattr(report, f"{side}_metrics")["test"]["mrr@5"] == pytest.approx(np.mean(own))
    gains = [report.extra_test_sets[name].comparison["mrr@5"].difference for name in alone]
    assert report.comparison["mrr@5"].difference == pytest.approx(np.mean(gains))
    assert report.extra_test_sets["fillers"].max_loss == 1.0 and report.options["shares"] == {
        "words": 0.75,
        "fillers": 0.25,
    }


def test_the_report_and_the_card_compare_with_the_models_of_one_set_alone(joint, alone):
    out, report, _ = joint
    for name, folder in alone.items():
        record = TrainingReport.load(folder)
        assert report.single_set_baselines[name] == Baseline(model=name, test=record.adapted_metrics["test"])
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "Compared with single-set models" in card and "Trained on several sets:\n\n- `words`: " in card
    assert list(TrainingReport.load(out).joined) == ["words", "fillers"]


def test_a_comparison_of_sets_counts_each_the_same():
    base, adapted = np.zeros(30), np.array([1.0] * 10 + [0.0] * 20)
    assert compare(base, adapted, 0, [slice(0, 10), slice(10, 30)]).difference == 0.5
    assert compare(base, adapted, 0, [slice(None)]) == compare(base, adapted, 0)


@pytest.mark.parametrize(
    ("given_shares", "message"),
    [
        ({"third": 0.5}, "`batch_shares` third: unknown training set: expected one of words, fillers"),
        ({"words": 0.5, "fillers": 0.4}, "`batch_shares` sum to 0.9: expected 1"),
    ],
)
def test_invalid_batch_shares_are_refused(sets, given_shares, message):
    with pytest.raises(TrainingError, match=message):
        complete_batch_shares(join(sets), given_shares)


def test_batch_shares_of_a_single_set_are_refused(sets):
    with pytest.raises(TrainingError, match="expected several sets to train on"):
        complete_batch_shares(sets["words"], {"words": 0.5})


@pytest.mark.parametrize("recipe", [ReferenceTriplet(), Contrastive(freeze_documents=True)])
def test_a_recipe_that_lays_out_no_batches_joins_nothing(sets, tiny_base, recipe):
    with pytest.raises(TrainingError, match="several sets can be trained on with the recipe contrastive only"):
        TrainingJob(sets, "both", tiny_base, recipe)


def test_a_baseline_that_was_trained_on_other_data_is_refused(sets, alone, tiny_base):
    with pytest.raises(TrainingError, match="`single_set_baselines` words: that model was trained on other data"):
        TrainingJob(
            sets, "both", tiny_base, QUICK, single_set_baselines={"words": TrainingReport.load(alone["fillers"])}
        )


def test_a_name_that_no_test_set_may_have_is_refused(sets):
    with pytest.raises(InvalidNameError, match="reserved for the domain's own"):
        join({"test": sets["words"], "fillers": sets["fillers"]})


def test_a_finished_run_of_several_sets_answers_with_its_report(sets, alone, joint, tiny_base):
    out, report, _ = joint
    again = train_both(sets, alone, tiny_base, out)
    assert again == report
    assert "Compared with single-set models" in (out / "report.html").read_text(encoding="utf-8")


def test_the_metrics_of_every_query_are_kept_by_set(joint, sets):
    out, report, _ = joint
    kept = parse_query_metrics((out / FILE_NAME).read_bytes(), "both")
    assert set(kept) == {"test", "words", "fillers"}
    assert kept["test"].sets == tuple(len(data.qrels["test"]) for data in sets.values())
    for name, rows in zip(sets, kept["test"].rows, strict=True):
        assert kept["test"].metrics["mrr@5"][rows] == kept[name].metrics["mrr@5"]
        assert np.mean(kept[name].metrics["mrr@5"]) == pytest.approx(report.evaluations[name].adapted["mrr@5"])
        assert kept[name].fingerprint == sets[name].ranking_digest("test")
