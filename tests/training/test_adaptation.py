"""Adaptation: what a run writes, that it is reproducible, and that it never makes a model worse on dev."""

import json
import math
import re
import stat

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from registry import InvalidNameError, OutputError, resolve_base_model
from registry.classifier_profiles.profiles import Profile
from tests.training.samples import LEARNING, QUICK, no_longer_than, prepared, run_python, texts_encoded, word_pairs
from training import Contrastive, ReferenceTriplet, TrainingError, TrainingJob, adapt, publish
from training.mining.examples import Examples
from training.recipes.finetune import finetune
from training.recipes.interpolation import interpolate
from training.reporting.report import TrainingReport
from training.retrieval.encoding import load_model
from training.retrieval.metrics import CUTOFFS
from training.sources.pairs import Pair

METRICS = {f"{name}@{k}" for name in ("mrr", "recall", "ndcg", "dcg") for k in CUTOFFS}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory, trained, tiny_base):
    """A run whose result is always the base model."""
    out = tmp_path_factory.mktemp("untouched") / "out"
    recipe = Contrastive(iterations=1, min_steps=1, interpolation_weight=0.0, mix_ratio=0)
    return out, adapt(TrainingJob(trained.data, "words", tiny_base, recipe, device="cpu"), out)


@pytest.fixture(scope="module")
def again(tmp_path_factory, trained, tiny_base):
    """The run of ``trained`` once more, with the texts that were encoded."""
    out = tmp_path_factory.mktemp("again") / "out"
    with texts_encoded() as encoded:
        report = adapt(TrainingJob(trained.data, "words", tiny_base, LEARNING, device="cpu"), out)
    return out, report, encoded


def weights(folder):
    return load_file(folder / "model.safetensors")


def same_weights(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_output_loads_as_a_sentence_transformer_and_gives_the_vectors_of_the_report(trained):
    model = SentenceTransformer(str(trained.out), device="cpu", local_files_only=True)
    vectors = model.encode_query(["please tell about apple castle"])
    assert vectors.shape == (1, trained.report.dimension) == (1, 32)
    assert math.isclose(float((vectors**2).sum()), 1, abs_tol=1e-5)
    described = {key: getattr(trained.report, key) for key in ("max_length", "pooling", "normalized")}
    assert described == {"max_length": 64, "pooling": "mean", "normalized": True}


def test_the_output_holds_no_file_that_could_run_code(trained):
    files = {path.suffix for path in trained.out.rglob("*") if path.is_file()}
    assert files <= {".safetensors", ".json", ".md", ".txt", ".html"}  # the page may run nothing: test_report_page
    assert {path.name for path in trained.out.rglob("*.safetensors")} == {
        "model.safetensors",
        "classifier_profile.safetensors",
    }


def test_all_files_of_the_output_have_the_permissions_of_its_report(trained):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in trained.out.rglob("*") if path.is_file()}
    assert {name: oct(mode) for name, mode in modes.items() if mode != modes["report.json"]} == {}


def test_only_the_output_is_left(trained):
    assert sorted(path.name for path in trained.out.parent.iterdir()) == ["data", "out"]


def test_the_report_is_plain_json_and_holds_everything_that_decided_the_result(trained, tiny_base):
    def refuse(constant):
        raise ValueError(constant)

    read = json.loads((trained.out / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert read == trained.report.model_dump(mode="json")
    report = TrainingReport.load(trained.out)
    assert report == trained.report
    assert report.domain == "words"
    assert report.base_model == tiny_base.record()
    assert report.recipe == "contrastive"
    assert report.options["seed"] == 42
    assert report.options["learning_rate"] == LEARNING.learning_rate
    assert report.dataset.fingerprint == trained.data.fingerprint
    assert report.dataset.counts == trained.data.manifest["counts"]
    assert [entry.name for entry in report.iterations] == ["base", "iteration-1", "iteration-2"]
    assert all(entry.steps >= LEARNING.min_steps for entry in report.iterations[1:])
    for part in (report.base_metrics, report.adapted_metrics):
        assert {split: set(values) for split, values in part.items()} == {"dev": METRICS, "test": METRICS}


def test_the_best_state_on_dev_is_chosen(trained):
    report = trained.report
    assert report.improved
    scores = {entry.name: entry.dev["ndcg@10"] for entry in report.iterations}
    assert scores[report.chosen] == max(scores.values()) > scores["base"]
    chosen = next(entry for entry in report.iterations if entry.name == report.chosen)
    assert report.adapted_metrics["dev"] == chosen.dev
    assert report.adapted_metrics["test"]["ndcg@10"] > report.base_metrics["test"]["ndcg@10"]


def test_the_gain_on_the_test_split_is_reported_with_its_interval(trained):
    base, adapted = trained.report.base_metrics["test"], trained.report.adapted_metrics["test"]
    card = (trained.out / "README.md").read_text(encoding="utf-8")
    assert set(trained.report.comparison) == {"mrr@5", "recall@5", "ndcg@10"}
    for name, found in trained.report.comparison.items():
        assert math.isclose(found.difference, adapted[name] - base[name], abs_tol=1e-9)
        assert found.low <= found.difference <= found.high
        assert 0 < found.p_value <= 1
        assert f"{name}: {found.difference:+.4f}, 95 % interval" in card


def test_every_iteration_is_compared_with_the_base_model_on_dev(trained):
    base, *iterations = trained.report.iterations
    for entry in iterations:
        for name, found in entry.comparison.items():
            assert math.isclose(found.difference, entry.dev[name] - base.dev[name], abs_tol=1e-9)
            assert found.low <= found.difference <= found.high


def test_the_reported_test_metrics_are_those_of_the_saved_model(trained):
    model = load_model(trained.out, "cpu")
    documents, names = list(trained.data.corpus.values()), list(trained.data.corpus)
    qrels = trained.data.qrels["test"]
    scores = model.encode_query([trained.data.queries[query] for query in qrels]) @ model.encode_document(documents).T
    reciprocal = []
    for row, wanted in zip(scores, qrels.values(), strict=True):
        best = [names[position] for position in (-row).argsort()[:5]]
        reciprocal.append(max((1 / (best.index(name) + 1) for name in wanted if name in best), default=0))
    expected = sum(reciprocal) / len(reciprocal)
    assert trained.report.adapted_metrics["test"]["mrr@5"] == pytest.approx(expected, abs=1e-3)


def test_the_card_states_the_gain_and_the_origin(trained):
    card = (trained.out / "README.md").read_text(encoding="utf-8")
    metrics = [part["test"]["mrr@5"] for part in (trained.report.base_metrics, trained.report.adapted_metrics)]
    assert f"| mrr@5 | {metrics[0]:.4f} | {metrics[1]:.4f} | {metrics[1] - metrics[0]:+.4f} |" in card
    assert card.startswith("---\nlibrary_name: sentence-transformers\n")
    for said in (trained.data.fingerprint, trained.report.base_model.weights_sha256, "adapted to words"):
        assert said in card


def test_the_profile_holds_the_training_queries_as_the_base_model_embeds_them(trained, tiny_base):
    profile = Profile.load(trained.out)
    assert len(profile.documents) > 0
    queries = [trained.data.queries[name] for name in trained.data.qrels["train"]]
    assert profile.base == tiny_base.record().weights_sha256
    expected = load_model(tiny_base.path, "cpu").encode_query(queries)
    apart = np.abs(profile.embeddings[:, None] - expected).max(axis=2)
    assert sorted(apart.argmin(axis=1)) == list(range(len(queries)))
    assert apart.min(axis=1) == pytest.approx(np.zeros(len(queries)), abs=2e-3)


def test_the_same_seed_gives_the_same_metrics_and_weights(trained, again):
    out, report, _ = again
    assert timeless(report) == timeless(trained.report)
    assert same_weights(weights(out), weights(trained.out))


def timeless(report):
    """A report without what may differ between two runs that do the same."""
    return report.model_dump(exclude={"seconds": True, "iterations": {"__all__": {"seconds"}}})


def test_every_state_encodes_the_corpus_once(trained, again):
    _, report, encoded = again
    states = len(report.iterations)
    assert [encoded["encode_document", text] for text in trained.data.corpus.values()] == [states] * len(
        trained.data.corpus
    )
    assert {encoded["encode_query", trained.data.queries[name]] for name in trained.data.qrels["dev"]} == {states}
    assert {encoded["encode_query", trained.data.queries[name]] for name in trained.data.qrels["test"]} == {2}


@pytest.mark.slow
def test_another_seed_gives_another_model(tmp_path, trained, tiny_base):
    recipe = Contrastive(iterations=1, min_steps=3, learning_rate=1e-2, interpolation_weight=1.0, mix_ratio=0)
    for seed in (1, 2):
        adapt(TrainingJob(trained.data, "words", tiny_base, recipe, seeds=(seed,), device="cpu"), tmp_path / str(seed))
    reports = [json.loads((tmp_path / str(seed) / "report.json").read_text(encoding="utf-8")) for seed in (1, 2)]
    assert reports[0]["iterations"][1]["loss"] != reports[1]["iterations"][1]["loss"]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_interpolation_gives_the_trained_weights_their_weight(tiny_base, trained, share):
    model, base = load_model(trained.out, "cpu"), load_model(tiny_base.path, "cpu")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    interpolate(model, base, share)
    start = base.state_dict()
    for name, value in model.state_dict().items():
        if share in (0, 1):
            assert torch.equal(value, before[name] if share else start[name])
        else:
            torch.testing.assert_close(value, share * before[name] + (1 - share) * start[name])


def test_the_base_model_is_kept_if_no_iteration_beats_it(untouched, tiny_base):
    out, report = untouched
    assert (report.chosen, report.improved) == ("base", False)
    assert report.adapted_metrics == report.base_metrics
    assert same_weights(weights(out), weights(tiny_base.path))
    assert "No iteration beat the base model" in (out / "README.md").read_text(encoding="utf-8")


def test_a_kept_base_model_is_published_only_by_force(untouched, registry):
    out, _ = untouched
    with pytest.raises(TrainingError, match="no iteration beat the base model on dev, so it is not registered"):
        publish(out, registry)
    assert publish(out, registry, force=True).version == 1


def test_a_better_model_is_published_as_it_is(trained, registry):
    version = publish(trained.out, registry)
    assert version.name == "words@1"
    assert TrainingReport.load(trained.out).improved


def test_a_folder_without_a_report_is_not_published(tmp_path, registry):
    with pytest.raises(TrainingError, match=r"no report\.json: expected a folder"):
        publish(tmp_path, registry)
    for content in ("{", "[]", "{}", "null"):
        (tmp_path / "report.json").write_text(content, encoding="utf-8")
        with pytest.raises(TrainingError, match=r"report\.json: not a report of this build"):
            publish(tmp_path, registry)


@pytest.mark.slow
def test_the_reference_recipe_runs(tmp_path, trained, tiny_base):
    recipe = ReferenceTriplet(learning_rate=1e-3, warmup_steps=2, epochs=1)
    report = adapt(TrainingJob(trained.data, "words", tiny_base, recipe, device="cpu"), tmp_path / "out")
    first, second = report.iterations[1:]
    assert report.recipe == "triplet"
    assert 0 < first.mined < second.mined
    assert first.steps == -(-first.mined // recipe.batch_size)
    assert second.steps == -(-second.mined // recipe.batch_size)


def test_the_reference_recipe_reports_that_it_finds_nothing_to_learn(tmp_path, tiny_base):
    pairs = [Pair(f"question {word}", f"answer of {word}") for word in ("alpha", "beta", "gamma", "delta", "epsilon")]
    with pytest.raises(TrainingError, match="triplet"):
        data = prepared(pairs, tmp_path / "data")
        adapt(TrainingJob(data, "words", tiny_base, ReferenceTriplet(), device="cpu"), tmp_path / "out")


@pytest.mark.slow
def test_few_pairs_are_enough_for_our_recipe(tmp_path, tiny_base):
    data = prepared(word_pairs()[:4], tmp_path / "data", test_size=0.3)
    assert adapt(TrainingJob(data, "words", tiny_base, QUICK, device="cpu"), tmp_path / "out").iterations[1].steps > 0


def test_pairs_that_all_have_the_same_answer_do_not_hang(tmp_path, tiny_base):
    data = prepared([Pair(pair.question, "yes") for pair in word_pairs()[:8]], tmp_path / "data", split="random")
    with no_longer_than(10), pytest.raises(TrainingError):
        adapt(TrainingJob(data, "words", tiny_base, QUICK, device="cpu"), tmp_path / "out")


def test_a_run_that_diverges_says_which_number_to_change(tmp_path, trained, tiny_base):
    recipe = Contrastive(iterations=1, min_steps=3, learning_rate=1e30, batch_size=8, mix_ratio=0)
    with pytest.raises(TrainingError, match="`learning_rate`"):
        adapt(TrainingJob(trained.data, "words", tiny_base, recipe, device="cpu"), tmp_path / "out")


@pytest.mark.parametrize("device", ["nosuch", "cuda:99"])
def test_an_unavailable_device_is_reported(tmp_path, trained, tiny_base, device):
    with pytest.raises(TrainingError, match=re.escape(device)):
        adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device=device), tmp_path / "out")


def test_an_existing_folder_is_refused_and_left_alone(tmp_path, trained, tiny_base):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    for out, overwrite, message in (
        (tmp_path, False, "exists already: choose another folder, or set `overwrite`"),
        (tmp_path, True, r"holds no report\.json, so it is not an earlier output"),
        (trained.out, False, "exists already"),
    ):
        with pytest.raises(OutputError, match=message):
            adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu"), out, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_overwrite_replaces_an_earlier_model(tmp_path, trained, tiny_base):
    for domain, overwrite in (("first", False), ("second", True)):
        adapt(TrainingJob(trained.data, domain, tiny_base, QUICK, device="cpu"), tmp_path / "out", overwrite=overwrite)
    assert TrainingReport.load(tmp_path / "out").domain == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("domain", ["general", "Upper", "../up", ""])
def test_an_invalid_name_of_a_domain_is_refused_before_any_work(tmp_path, trained, tiny_base, domain):
    with pytest.raises(InvalidNameError):
        adapt(TrainingJob(trained.data, domain, tiny_base, QUICK, device="cpu"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_created_is_reported(tmp_path, trained, tiny_base):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="file"):
        adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu"), tmp_path / "file" / "out")


@pytest.mark.slow
def test_the_prompts_of_a_model_are_trained_with_and_kept(tmp_path, trained, tiny_base):
    model = load_model(tiny_base.path, "cpu")
    model.prompts = {"query": "zebra: ", "document": "elephant: "}
    model.save_pretrained(str(tmp_path / "base"))
    # without weight decay only the embeddings of tokens that were seen move
    recipe = Contrastive(
        iterations=1, min_steps=2, learning_rate=1e-2, weight_decay=0.0, interpolation_weight=1.0, warmup_steps=0
    )
    columns = {"anchor": ["apple", "bridge"] * 8, "positive": ["castle", "desert"] * 8}
    prompted, plain = (load_model(folder, "cpu") for folder in (tmp_path / "base", tiny_base.path))
    words = ["zebra", "elephant", "apple", "castle", "violin"]
    tokens = prompted.tokenizer.convert_tokens_to_ids(words)
    before = load_model(tiny_base.path, "cpu")[0].auto_model.get_input_embeddings().weight[tokens].detach()
    moved = {}
    for name, model in (("prompted", prompted), ("plain", plain)):
        finetune(model, Examples(columns), recipe, 1, tmp_path / "scratch", name)
        after = model[0].auto_model.get_input_embeddings().weight[tokens].detach()
        moved[name] = [word for word, row in zip(words, (after != before).any(dim=1).tolist(), strict=True) if row]
    assert moved == {"prompted": ["zebra", "elephant", "apple", "castle"], "plain": ["apple", "castle"]}

    base = resolve_base_model(str(tmp_path / "base"))
    adapt(TrainingJob(trained.data, "words", base, QUICK, device="cpu"), tmp_path / "out")
    assert load_model(tmp_path / "out", "cpu").prompts == {"query": "zebra: ", "document": "elephant: "}


def test_texts_are_truncated_only_while_training(tmp_path, trained, tiny_base):
    recipe = Contrastive(
        iterations=1, min_steps=3, learning_rate=1e-2, interpolation_weight=1.0, max_length=4, mix_ratio=0
    )
    report = adapt(TrainingJob(trained.data, "words", tiny_base, recipe, device="cpu"), tmp_path / "out")
    assert report.max_length == 64
    assert load_model(tmp_path / "out", "cpu").max_seq_length == 64


@pytest.mark.slow
def test_the_command_writes_only_its_result_without_a_terminal(tmp_path, trained, tiny_base):
    arguments = [
        *("train", trained.out.parent / "data", "--domain", "words", "--base-model", tiny_base.path),
        *(
            "--out",
            tmp_path / "out",
            "--iterations",
            1,
            "--min-steps",
            1,
            "--mix-ratio",
            0,
            "--device",
            "cpu",
            "--json",
        ),
    ]
    finished = run_python("from router_plugin.cli import main; main()", *arguments, cold=True)
    assert finished.stderr == ""
    assert finished.returncode == 0
    report = json.loads(finished.stdout)
    assert report.pop("registered") is None and report.pop("variants") == []
    assert report == json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
