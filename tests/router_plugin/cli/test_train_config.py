"""``train --print-config``: what would be run, as a file that ``--config`` takes back."""

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from router_plugin.cli import app
from training import prepare, read_pairs
from training.mining.hard_negatives import HARD_NEGATIVE_RANKS
from training.options import TrainingOptions
from training.recipes.recipes import RECIPES, Contrastive

TRAIN = ("train", "work/legal", "--domain", "legal", "--out", "work/model")


def printed(*arguments):
    done = CliRunner().invoke(app, [*map(str, arguments), "--print-config"])
    assert done.exit_code == 0, done.output
    return done.output


def test_all_values_are_printed_those_of_the_recipe_included(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load(printed(*TRAIN, "--lora", 8, "--seed", 1, "--seed", 2, "--max-loss", "test=0.1"))
    assert list(tmp_path.iterdir()) == []
    assert (config["data"], config["domain"], config["out"]) == (["work/legal"], "legal", "work/model")
    assert (config["seed"], config["max_loss"], config["batch_share"]) == ([1, 2], {"test": 0.1}, {})
    recipe = Contrastive(lora=8)
    assert {name: config[name] for name in Contrastive.model_fields} == recipe.model_dump()
    assert not {"margin", "easy_per_hard", "llm", "concurrency", "config", "print_config"} & config.keys()


def test_what_specialist_changes_is_printed():
    assert yaml.safe_load(printed(*TRAIN))["min_gain_kept"] == 0.8
    assert yaml.safe_load(printed(*TRAIN, "--specialist"))["min_gain_kept"] == 1.0


def test_the_options_of_a_language_model_are_printed_where_there_is_one():
    config = yaml.safe_load(printed(*TRAIN, "--judge", "llm", "--judge-model", "m", "--llm", "http://localhost/v1"))
    assert (config["judge"], config["llm"], config["concurrency"]) == ("llm", "http://localhost/v1", 4)


NUMBERS = {
    "--iterations": st.integers(1, 9),
    "--learning-rate": st.floats(1e-9, 1),
    "--warmup-steps": st.floats(0, 1e6),
    "--interpolation-weight": st.floats(0, 1),
    "--max-length": st.integers(1, 512),
    "--dims": st.lists(st.integers(1, 512), min_size=1, max_size=3, unique=True).map(
        lambda dims: ",".join(map(str, dims))
    ),
    "--encode-batch": st.integers(1, 99),
    "--judge-depth": st.integers(1, HARD_NEGATIVE_RANKS),
    "--seed": st.integers(0, 2**31),
    "--batch-share": st.floats(0.01, 0.99).map(lambda share: f"legal={share}"),
    "--encode-with": st.sampled_from(["onnx", "openvino-int8"]),
    "--revision": st.text("abc-_1/", min_size=1).filter(lambda text: not text.startswith("-")),
}


@pytest.fixture
def prepared(tmp_path, pairs_file):
    prepare(read_pairs(str(pairs_file)), tmp_path / "prepared")
    return tmp_path / "prepared"


@pytest.mark.slow
@settings(max_examples=15, phases=[Phase.generate])
@given(
    recipe=st.sampled_from(sorted(RECIPES)),
    options=st.fixed_dictionaries({}, optional=NUMBERS),
    flags=st.sets(st.sampled_from(["--register", "--overwrite", "--json", "--trust-remote-code"])),
)
def test_a_printed_config_gives_the_same_run(tmp_path_factory, recipe, options, flags):
    file = tmp_path_factory.mktemp("config") / "train.yaml"
    given = [f"{flag}={value}" for flag, value in options.items()]
    file.write_text(printed(*TRAIN, "--recipe", recipe, *given, *flags), encoding="utf-8")
    assert printed("train", "--config", file) == file.read_text(encoding="utf-8")


written = st.floats(1e-9, 1).map(lambda number: f"{number:e}".replace("e-0", "e-"))


@settings(max_examples=10, phases=[Phase.generate])
@given(rate=st.one_of(written, st.sampled_from(["5e-5", "1E-3", ".5e0", "2.e-05"])), loss=written)
def test_numbers_with_an_exponent_are_numbers_however_they_are_written(tmp_path_factory, rate, loss):
    file = tmp_path_factory.mktemp("config") / "train.yaml"
    file.write_text(f"learning_rate: {rate}\nmax_loss:\n  test: {loss}\nrevision: 1e5\n", encoding="utf-8")
    config = yaml.safe_load(printed(*TRAIN, "--config", file))
    assert (config["learning_rate"], config["max_loss"]) == (float(rate), {"test": float(loss)})
    assert config["revision"] == "1e5"


@pytest.mark.slow
def test_a_config_trains_as_the_flags_do(cli, prepared, tiny_base, tmp_path):
    common = ("train", prepared, "--domain", "legal", "--base-model", tiny_base.path, "--iterations", 1)
    common += ("--min-steps", 1, "--batch-size", 8, "--mix-ratio", 0, "--device", "cpu", "--seed", 3)
    (tmp_path / "train.yaml").write_text(printed(*common, "--out", "elsewhere"), encoding="utf-8")
    assert cli(*common, "--out", tmp_path / "one")[0] == 0
    assert cli("train", "--config", tmp_path / "train.yaml", "--out", tmp_path / "two")[0] == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("domain: legal\nmargin: 0.2\n", "recipe contrastive has no --margin"),
        ("recipe: other\n", "unknown recipe 'other': expected contrastive or triplet"),
        ("recipe: triplet\n\nmargin: 0\n", "train.yaml, line 3: margin 0: expected a number greater than 0"),
        ("learning_rate: -5e-5\n", "line 1: learning_rate '-5e-5': expected a number greater than 0"),
        ("learning_rate: 5e-5x\n", "line 1: learning_rate '5e-5x': expected a number greater than 0"),
        ("concurrency: 8\n", "--concurrency cannot be used without --llm"),
        ("freeze_documents: true\nlora: 4\n", "--freeze-documents cannot be combined with --lora: leave one out"),
    ],
)
def test_a_config_that_cannot_be_run_is_refused(cli, tmp_path, text, said):
    (tmp_path / "train.yaml").write_text(text)
    status, out, err = cli(*TRAIN, "--config", tmp_path / "train.yaml")
    assert (status, out) == (2, "") and said in err


def test_the_judge_grades_hard_negatives_at_most():
    (limit,) = (each.le for each in TrainingOptions.__pydantic_fields__["judge_depth"].metadata if hasattr(each, "le"))
    assert limit == HARD_NEGATIVE_RANKS
