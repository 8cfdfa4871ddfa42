"""Test sets besides the domain's own, limits and several seeds: measured once, resumed, and reported in plain words."""

import json
import statistics
from dataclasses import replace

import pytest
from sentence_transformers import SentenceTransformer

from registry import InvalidNameError
from registry.gates.query_metrics import FILE_NAME, parse_query_metrics
from tests.training.samples import LEARNING, QUICK, filler_pairs, prepared, texts_encoded
from tests.training.test_adaptation import same_weights, timeless, weights
from training import PreparedData, TrainingError, TrainingJob, adapt, publish
from training.reporting.report import TrainingReport
from training.reporting.verdicts import seed_rows
from training.retrieval.encoding import load_model
from training.sources.pairs import Pair

pytestmark = pytest.mark.slow

FEW = Pair("please tell", "tell people"), Pair("which matters", "general matters")


class Crash(BaseException):
    """Power that fails."""


def crash(*_):
    raise Crash


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two sets that nothing is trained on."""
    folder = tmp_path_factory.mktemp("sets")
    return {
        "fillers": prepared(filler_pairs(), folder / "fillers", split="test"),
        "few": prepared(FEW, folder / "few", split="test"),
    }


@pytest.fixture(scope="module")
def judged(tmp_path_factory, trained, tiny_base, sets):
    """The run of ``trained`` judged on both sets, with the texts that were encoded."""
    out = tmp_path_factory.mktemp("judged") / "out"
    with texts_encoded() as encoded:
        limits = {"test": 0.0, "fillers": 0.05}
        report = adapt(
            TrainingJob(
                trained.data, "words", tiny_base, LEARNING, device="cpu", extra_test_sets=sets, max_loss=limits
            ),
            out,
        )
    return out, report, encoded


def mrr_at_5(model: SentenceTransformer, data: PreparedData) -> float:
    names, qrels = list(data.corpus), data.qrels["test"]
    queries = model.encode_query([data.queries[query] for query in qrels])
    scores = queries @ model.encode_document(list(data.corpus.values())).T
    reciprocal = []
    for row, wanted in zip(scores, qrels.values(), strict=True):
        best = [names[position] for position in (-row).argsort()[:5]]
        reciprocal.append(max((1 / (best.index(name) + 1) for name in wanted if name in best), default=0))
    return sum(reciprocal) / len(reciprocal)


def test_other_sets_change_nothing_but_what_is_measured(judged, trained):
    out, report, _ = judged
    unjudged = {"extra_test_sets", "max_loss", "lost_too_much", "seeds"}
    one, other = ({k: v for k, v in timeless(each).items() if k not in unjudged} for each in (report, trained.report))
    assert one == other
    assert same_weights(weights(out), weights(trained.out))


def test_the_metrics_of_a_set_are_those_of_the_base_and_of_the_saved_model(judged, sets, tiny_base):
    out, report, _ = judged
    assert list(report.extra_test_sets) == list(sets)
    for name, data in sets.items():
        found = report.extra_test_sets[name]
        assert (found.fingerprint, found.queries) == (data.fingerprint, len(data.queries))
        for metrics, folder in ((found.base, tiny_base.path), (found.adapted, out)):
            assert metrics["mrr@5"] == pytest.approx(mrr_at_5(load_model(folder, "cpu"), data), abs=1e-3)


def test_the_difference_on_a_set_comes_with_its_interval(judged):
    for found in judged[1].extra_test_sets.values():
        assert set(found.comparison) == {"mrr@5", "recall@5", "ndcg@10"}
        for metric, comparison in found.comparison.items():
            assert comparison.difference == pytest.approx(found.adapted[metric] - found.base[metric], abs=1e-9)
            assert comparison.low <= comparison.difference <= comparison.high
            assert 0 < comparison.p_value <= 1


def test_a_set_is_encoded_once_by_the_base_and_once_by_the_chosen_model(judged, sets):
    _, _, encoded = judged
    for data in sets.values():
        assert {encoded["encode_document", text] for text in data.corpus.values()} == {2}
        assert {encoded["encode_query", text] for text in data.queries.values()} == {2}


def test_a_model_that_loses_too_much_is_reported_and_published_only_by_force(judged, registry):
    out, report, _ = judged
    fillers = report.extra_test_sets["fillers"]
    loss = fillers.base["mrr@5"] - fillers.adapted["mrr@5"]
    assert loss > 0.2
    few = report.extra_test_sets["few"]
    assert (fillers.max_loss, fillers.lost_too_much) == (0.05, True)
    assert (few.max_loss, few.lost_too_much) == (None, False)
    assert (report.max_loss, report.lost_too_much) == (0.0, False)
    said = f"On fillers the model lost {loss:.4f} mrr@5 to its base, more than the 0.05 that was allowed."
    assert f"**{said}**" in (out / "README.md").read_text(encoding="utf-8")
    with pytest.raises(TrainingError, match=f"{said} So it is not registered; `force` registers it"):
        publish(out, registry)
    version = publish(out, registry, force=True)
    assert registry.get(version.name).extra_test_sets["fillers"].lost_too_much


def test_the_card_starts_with_both_models_on_every_set(judged):
    out, report, _ = judged
    tables = [line for line in (out / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[:5]]
    assert rows[0][:5] == ["test set", "queries", "base mrr@5", "adapted mrr@5", "difference"]
    assert [row[0] for row in rows[2:]] == ["test", "fillers", "few"]
    fillers = report.extra_test_sets["fillers"]
    base, adapted = fillers.base["mrr@5"], fillers.adapted["mrr@5"]
    assert rows[3][1:5] == ["30", f"{base:.4f}", f"{adapted:.4f}", f"{adapted - base:+.4f}"]
    assert [row[-1] for row in rows[2:]] == ["0: kept", "0.05: BROKEN", ""]


def test_the_base_model_loses_nothing(tmp_path, trained, tiny_base, sets):
    recipe = QUICK.replace(interpolation_weight=0.0)
    limits = {"fillers": 0, "test": 0}
    report = adapt(
        TrainingJob(trained.data, "words", tiny_base, recipe, device="cpu", extra_test_sets=sets, max_loss=limits),
        tmp_path / "out",
    )
    assert not report.improved
    assert not any(found.lost_too_much for found in (report, *report.extra_test_sets.values()))


def without(data, split):
    return replace(data, qrels={**data.qrels, split: {}})


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda data, other: {"extra_test_sets": {"test": other}}, InvalidNameError, "'test' is reserved"),
        (
            lambda data, other: {"extra_test_sets": {"../up": other}},
            InvalidNameError,
            "test set name '../up' is not allowed",
        ),
        (
            lambda data, other: {"extra_test_sets": {"else": without(other, "test")}},
            TrainingError,
            "`extra_test_sets` else, prepared from samples: no test queries: prepare it with `split` test",
        ),
        (lambda data, other: {"max_loss": {"else": 0.1}}, TrainingError, "`max_loss` else: unknown test set"),
        (
            lambda data, other: {"max_loss": {"test": -0.1}},
            TrainingError,
            "`max_loss` test=-0.1: expected a number",
        ),
        (lambda data, other: {"max_loss": {"test": 1.01}}, TrainingError, "expected a number from 0 to 1"),
        (
            lambda data, other: {"max_loss": {"test": float("nan")}},
            TrainingError,
            "test=nan: expected a number",
        ),
        (lambda data, other: {"data": other}, TrainingError, "samples: no training queries: prepare them with `split`"),
        (lambda data, other: {"data": without(data, "dev")}, TrainingError, "no dev queries"),
        (lambda data, other: {"data": without(data, "test")}, TrainingError, "no test queries"),
        (lambda data, other: {"seeds": ()}, TrainingError, "`seeds` .*: expected at least one"),
        (
            lambda data, other: {"seeds": (1, 2, 1)},
            TrainingError,
            "`seeds` 1, 2, 1: expected .* no duplicates",
        ),
    ],
)
def test_a_job_that_cannot_be_run_is_refused_when_it_is_put_together(trained, tiny_base, sets, change, error, said):
    given = {"data": trained.data, **change(trained.data, sets["few"])}
    with pytest.raises(error, match=said):
        TrainingJob(**given, domain="words", base=tiny_base, recipe=QUICK, device="cpu")


def test_other_sets_than_before_are_measured_without_training_again(tmp_path, trained, tiny_base, sets, monkeypatch):
    out = tmp_path / "out"
    other = prepared(filler_pairs()[:12], tmp_path / "data", split="test")

    def run(**also):
        return adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu", extra_test_sets=also), out)

    monkeypatch.setattr("training.model_folder.write_profile", crash)
    with pytest.raises(Crash):
        run(one=sets["few"], two=sets["fillers"])
    monkeypatch.setattr("training.recipes.distributed.finetune", crash)
    with texts_encoded() as encoded, pytest.raises(Crash):
        run(one=sets["few"], three=sets["fillers"])
    assert encoded == {}
    monkeypatch.undo()
    monkeypatch.setattr("training.recipes.distributed.finetune", crash)
    report = run(one=sets["few"], two=other)
    assert [found.queries for found in report.extra_test_sets.values()] == [2, 12]
    found = report.extra_test_sets["two"]
    for metrics, folder in ((found.base, tiny_base.path), (found.adapted, out)):
        assert metrics["mrr@5"] == pytest.approx(mrr_at_5(load_model(folder, "cpu"), other), abs=1e-3)


SEEDS = (5, 6, 7)
ONE_ROUND = LEARNING.replace(iterations=1, learning_rate=3e-3)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory, trained, tiny_base, sets):
    """Three seeds in one run, with the texts that were encoded."""
    out = tmp_path_factory.mktemp("seeded") / "out"
    with texts_encoded() as encoded:
        report = adapt(
            TrainingJob(trained.data, "words", tiny_base, ONE_ROUND, device="cpu", extra_test_sets=sets, seeds=SEEDS),
            out,
        )
    return out, report, encoded


@pytest.fixture(scope="module")
def adapters(tmp_path_factory, trained, tiny_base):
    """Two seeds, each with an adapter, which are not averaged."""
    out = tmp_path_factory.mktemp("adapters") / "out"
    recipe = ONE_ROUND.replace(lora=8, learning_rate=1e-2)
    return adapt(TrainingJob(trained.data, "words", tiny_base, recipe, device="cpu", seeds=SEEDS[:2]), out)


def test_of_several_seeds_the_model_that_is_best_on_dev_is_kept(adapters):
    best = max(adapters.seeds, key=lambda entry: entry.dev["ndcg@10"])
    assert adapters.chosen == best.chosen == f"seed-{best.seed}-iteration-1"
    assert adapters.adapted_metrics == {"dev": best.dev, "test": best.test}
    assert [entry.name for entry in adapters.iterations] == ["base", best.chosen]


def test_the_mean_of_the_seeds_is_kept_if_it_is_better_on_dev_than_each(trained, tiny_base, tmp_path, caplog):
    caplog.set_level("INFO", "training.adaptation")
    job = TrainingJob(trained.data, "words", tiny_base, ONE_ROUND, device="cpu", seeds=SEEDS)
    report = adapt(job, tmp_path / "out")
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("mean-of-seeds: dev")]
    (mean,) = (float(message.split()[-1]) for message in said)
    best = max(report.seeds, key=lambda entry: entry.dev["ndcg@10"])
    kept = "mean-of-seeds" if mean > round(best.dev["ndcg@10"], 4) else best.chosen
    assert report.chosen == kept
    assert report.adapted_metrics["dev"]["ndcg@10"] == pytest.approx(max(mean, best.dev["ndcg@10"]), abs=1e-4)


def test_the_mean_of_the_seeds_is_not_kept_if_a_guard_loses_too_much(trained, tiny_base, tmp_path, monkeypatch, caplog):
    guard = prepared(filler_pairs(), tmp_path / "guard", test_size=0.3)
    recipe = ONE_ROUND.replace(interpolation_weight=None)
    job = TrainingJob(
        trained.data, "words", tiny_base, recipe, device="cpu", seeds=SEEDS[:2], guards={"fillers": guard}
    )
    monkeypatch.setattr("training.recipes.interpolation.Guard.holds", lambda guard, weight: weight < 1)
    report = adapt(job, tmp_path / "out")
    assert report.chosen != "mean-of-seeds" and report.chosen in {entry.chosen for entry in report.seeds}
    assert "mean-of-seeds: a guard loses too much" in caplog.text


def test_the_report_of_several_seeds_is_read_back(seeded):
    out, report, _ = seeded
    assert json.loads((out / "report.json").read_text(encoding="utf-8")) == report.model_dump(mode="json")
    assert TrainingReport.load(out) == report
    assert TrainingReport.load(out).options["seeds"] == list(SEEDS)


def test_a_seed_among_others_gives_the_same_as_on_its_own(seeded, tmp_path, trained, tiny_base, sets):
    _, report, _ = seeded
    for entry in report.seeds[1:]:
        out = tmp_path / str(entry.seed)
        single = adapt(
            TrainingJob(
                trained.data, "words", tiny_base, ONE_ROUND, device="cpu", extra_test_sets=sets, seeds=(entry.seed,)
            ),
            out,
        )
        assert single.adapted_metrics == {"dev": entry.dev, "test": entry.test}
        assert {name: found.adapted for name, found in single.extra_test_sets.items()} == entry.extra_test_sets
        assert single.base_metrics == report.base_metrics


def test_the_base_model_encodes_once_for_all_seeds(seeded, trained, sets):
    _, report, encoded = seeded
    assert {encoded["encode_document", text] for text in trained.data.corpus.values()} == {2 + len(SEEDS)}
    judged_states = {"base", report.chosen, *(entry.chosen for entry in report.seeds)}
    for data in sets.values():
        assert {encoded["encode_document", text] for text in data.corpus.values()} == {len(judged_states)}


def test_the_gain_over_seeds_is_reported_with_its_standard_deviation(seeded):
    out, report, _ = seeded
    rows = {row[0]: row for row in seed_rows(report)}
    assert list(rows) == ["test", "fillers", "few"]
    gains = [
        entry.extra_test_sets["fillers"]["mrr@5"] - report.extra_test_sets["fillers"].base["mrr@5"]
        for entry in report.seeds
    ]
    assert rows["fillers"][1:3] == (f"{statistics.mean(gains):+.4f}", f"{statistics.stdev(gains):.4f}")
    assert f"7: {gains[2]:+.4f}" in rows["fillers"][3]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert all(f"| {' | '.join(row)} |" in card for row in rows.values())


def test_one_seed_has_no_deviation(judged):
    out, report, _ = judged
    assert seed_rows(report) == []
    assert "deviation" not in (out / "README.md").read_text(encoding="utf-8")
    assert [entry.chosen for entry in report.seeds] == [report.chosen]


def test_a_run_of_several_seeds_is_resumed(tmp_path, seeded, trained, tiny_base, sets, monkeypatch):
    def run():
        return adapt(
            TrainingJob(trained.data, "words", tiny_base, ONE_ROUND, device="cpu", extra_test_sets=sets, seeds=SEEDS),
            tmp_path / "out",
        )

    from training.recipes.finetune import finetune

    calls = []

    def crashing(*arguments):
        calls.append(arguments[5])
        if len(calls) == 2:
            raise Crash
        return finetune(*arguments)

    monkeypatch.setattr("training.recipes.distributed.finetune", crashing)
    with pytest.raises(Crash):
        run()
    report = run()
    names = [f"seed-{seed}-iteration-1" for seed in SEEDS]
    assert calls == [*names[:2], *names[1:]]
    assert timeless(report) == timeless(seeded[1])
    assert same_weights(weights(tmp_path / "out"), weights(seeded[0]))


def test_the_metrics_of_every_query_are_kept_with_the_model(judged):
    out, report, _ = judged
    kept = parse_query_metrics((out / FILE_NAME).read_bytes(), "words")
    assert list(kept) == list(report.evaluations) == ["test", "fillers", "few"]
    for name, found in kept.items():
        assert found.sets == (report.evaluations[name].queries,)
        assert list(found.metrics) == ["mrr@5", "recall@5", "ndcg@10"]
        for metric, values in found.metrics.items():
            assert statistics.fmean(values) == pytest.approx(report.evaluations[name].adapted[metric])
    assert len({found.fingerprint for found in kept.values()}) == 3
