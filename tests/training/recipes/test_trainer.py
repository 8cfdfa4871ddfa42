"""Fine-tuning goes on from a checkpoint, and ends with the very weights and loss that it ends with undisturbed."""

import json
import shutil

import pytest
import torch

from registry.shared.digests import sha256_of
from registry.shared.outputs import OutputError
from tests.training.samples import Crash, steps_trained, word_pairs
from training import Contrastive, ReferenceTriplet
from training.lazy_texts.sequences import Chosen, LazySequence
from training.mining.examples import Examples
from training.recipes.finetune import finetune, train_adapter_only
from training.recipes.trainer import MinedBatchTrainer
from training.retrieval.encoding import load_model
from training.runs import checkpoints
from training.runs.checkpoints import newest_checkpoint

PAIRS = word_pairs()[:24]
COLUMNS = {
    "anchor": [pair.question for pair in PAIRS],
    "positive": [pair.answer for pair in PAIRS],
    "negative": [pair.answer for pair in PAIRS[1:] + PAIRS[:1]],
}
LAID_OUT, RANDOM = Examples(COLUMNS, [4, 2, 6, 4, 3, 5]), Examples(COLUMNS)
RATE = {"learning_rate": 1e-2, "warmup_steps": 2}
RECIPES = {
    "full": (Contrastive(**RATE), LAID_OUT),
    "lora": (Contrastive(lora=4, **RATE), LAID_OUT),
    "mini-batches": (Contrastive(mini_batch=2, **RATE), LAID_OUT),
    "dims": (Contrastive(dims=(32, 8), **RATE), LAID_OUT),
    "triplet": (ReferenceTriplet(batch_size=8, **RATE), RANDOM),
    "triplet, lora": (ReferenceTriplet(batch_size=8, lora=2, **RATE), RANDOM),
}
STEPS = 6
"""Of every recipe; the triplet recipe takes them in two epochs."""


@pytest.fixture(scope="module")
def learn(tiny_base):
    """Trains the tiny model, from the newest checkpoint in a folder; returns the model and what is reported."""

    def train(name, folder):
        recipe, examples = RECIPES[name]
        model = load_model(tiny_base.path, "cpu")
        if recipe.lora:
            train_adapter_only(model, recipe.lora, 1)
        torch.rand(7)  # another state of the random numbers than before
        return model, finetune(model, examples, recipe, 1, folder, name, None, newest_checkpoint(folder))

    return train


@pytest.fixture(scope="module")
def undisturbed(learn, tmp_path_factory):
    """The same without a kill, by recipe."""
    return {name: learn(name, tmp_path_factory.mktemp("undisturbed")) for name in RECIPES}


def equal(one, other):
    """Whether two trained models and their reports are the same to the last bit."""
    states = [model.state_dict() for model, _ in (one, other)]
    assert states[0].keys() == states[1].keys()
    return one[1] == other[1] and all(torch.equal(states[0][name], states[1][name]) for name in states[0])


class Read(LazySequence):
    """Texts that are counted when they are read."""

    def __init__(self, texts):
        self.texts, self.count = texts, 0

    def __len__(self):
        return len(self.texts)

    def item(self, place):
        self.count += 1
        return self.texts[place]


@pytest.mark.parametrize("batches", [LAID_OUT.batches, None])
def test_texts_are_read_when_their_step_is_due_and_train_the_same_weights(tiny_base, tmp_path, batches):
    def train(folder, columns):
        model = load_model(tiny_base.path, "cpu")
        recipe = Contrastive(**RATE) if batches else RECIPES["triplet"][0]
        return model, finetune(model, Examples(columns, batches), recipe, 1, folder, "test")

    read = Read(COLUMNS["positive"])
    lazy = {**COLUMNS, "positive": Chosen(read, range(len(read)))}
    if batches:
        with steps_trained(limit=2), pytest.raises(Crash):
            train(tmp_path / "crash", lazy)
        assert read.count <= sum(batches[:4]) < len(read)  # two steps, the one that crashed, and one that is read ahead
    assert equal(train(tmp_path / "read", lazy), train(tmp_path / "known", COLUMNS))
    assert read.count


def killed(learn, name, folder, steps):
    with steps_trained(limit=steps) as begun, pytest.raises(Crash):
        learn(name, folder)
    assert begun == list(range(steps))


@pytest.fixture(scope="module")
def left(learn, tmp_path_factory):
    """What is left of a training that was killed after three steps."""
    folder = tmp_path_factory.mktemp("left")
    killed(learn, "full", folder, 3)
    return folder


@pytest.mark.parametrize(("name", "steps"), [*((name, 4) for name in RECIPES), ("triplet", 1), ("triplet", 3)])
def test_what_is_killed_goes_on_from_its_last_step(learn, undisturbed, tmp_path, name, steps):
    killed(learn, name, tmp_path, steps)
    with steps_trained() as begun:
        trained = learn(name, tmp_path)
    assert begun == list(range(steps, STEPS))
    assert equal(trained, undisturbed[name])


def test_what_is_killed_twice_goes_on_twice(learn, undisturbed, tmp_path):
    killed(learn, "triplet", tmp_path, 2)
    with steps_trained(limit=2) as begun, pytest.raises(Crash):
        learn("triplet", tmp_path)
    assert begun == [2, 3]
    assert equal(learn("triplet", tmp_path), undisturbed["triplet"])


@pytest.mark.parametrize("name", ["full", "lora"])
def test_what_has_finished_is_not_trained_again(learn, undisturbed, tmp_path, name):
    learn(name, tmp_path)
    with steps_trained() as begun:
        assert equal(learn(name, tmp_path), undisturbed[name])
    assert begun == []


def test_a_quick_training_writes_one_checkpoint_without_moments(learn, tmp_path):
    learn("full", tmp_path)
    (left,) = tmp_path.iterdir()
    assert left.name == f"step-{STEPS}"
    assert not [name for name in newest_checkpoint(tmp_path).tensors() if name.startswith("moments")]


def test_a_checkpoint_holds_no_pickle_and_only_what_is_trained(learn, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "load", None)
    monkeypatch.setattr(torch, "save", None)
    killed(learn, "lora", tmp_path, 3)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-2", "step-3"]
    files = sorted(path.name for path in (tmp_path / "step-3").iterdir())
    assert files == ["checkpoint.json", "numbers.json", "tensors.safetensors", "trainer_state.json"]
    weights = [name for name in newest_checkpoint(tmp_path).tensors() if name.startswith("weights.")]
    assert {".lora_" in name for name in weights if not name.endswith("_ids")} == {True}
    learn("lora", tmp_path)


FILES = ["checkpoint.json", "numbers.json", "tensors.safetensors", "trainer_state.json"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "changed"])
def test_the_checkpoint_before_is_taken_instead_of_a_damaged_one(left, tmp_path, damage, file):
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "step-3" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"truncated": path.read_bytes()[:-10], "changed": content}.get(damage, b""))
    if damage == "missing":
        path.unlink()
    assert newest_checkpoint(tmp_path).folder.name == "step-2"


def test_without_a_whole_checkpoint_training_begins_at_the_start(learn, undisturbed, tmp_path):
    killed(learn, "triplet", tmp_path, 4)
    for folder in tmp_path.iterdir():
        (folder / "tensors.safetensors").write_bytes(b"")
    with steps_trained(limit=2) as begun, pytest.raises(Crash):
        learn("triplet", tmp_path)
    assert begun == [0, 1]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-1", "step-2"]
    assert equal(learn("triplet", tmp_path), undisturbed["triplet"])


def test_a_checkpoint_that_is_only_half_written_is_not_one(learn, undisturbed, left, tmp_path):
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)
    shutil.copytree(left / "step-3", tmp_path / ".step-4.domain-router-01234567")
    shutil.copytree(left / "step-3", tmp_path / "step-x")
    with steps_trained() as begun:
        assert equal(learn("full", tmp_path), undisturbed["full"])
    assert begun == [3, 4, 5]


@pytest.mark.parametrize("steps", [3, STEPS])
def test_a_checkpoint_of_another_model_is_not_used(learn, undisturbed, tmp_path, steps, caplog):
    if steps < STEPS:
        killed(learn, "full", tmp_path, steps)
    else:
        learn("full", tmp_path)
    with steps_trained() as begun:
        assert equal(learn("lora", tmp_path), undisturbed["lora"])
    assert begun == list(range(STEPS))
    assert "does not fit" in caplog.text


@pytest.mark.parametrize(("key", "value"), [("processes", 2), ("device", "cuda"), ("precision", "fp16")])
def test_a_checkpoint_of_other_processes_another_device_or_precision_is_not_used(
    learn, undisturbed, left, tmp_path, key, value
):
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "step-3"
    numbers = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    numbers["where"][key] = value
    (folder / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")
    record = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    record["sha256"]["numbers.json"] = sha256_of(folder / "numbers.json")
    (folder / "checkpoint.json").write_text(json.dumps(record), encoding="utf-8")
    with steps_trained() as begun:
        assert equal(learn("full", tmp_path), undisturbed["full"])
    assert begun == list(range(STEPS))


def test_the_scale_of_float16_training_is_kept(learn, tmp_path, monkeypatch):
    original = MinedBatchTrainer.get_train_dataloader

    def scaled(self):
        self.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2)
        return original(self)

    monkeypatch.setattr(MinedBatchTrainer, "get_train_dataloader", scaled)
    undisturbed = learn("full", tmp_path / "undisturbed")
    killed(learn, "full", tmp_path / "killed", 5)
    assert newest_checkpoint(tmp_path / "killed").numbers()["scaler"]["scale"] == 256.0
    assert equal(learn("full", tmp_path / "killed"), undisturbed)
    found = [newest_checkpoint(tmp_path / name).numbers()["scaler"] for name in ("undisturbed", "killed")]
    assert found[0] == found[1] and found[0]["scale"] == 512.0


def test_checkpoints_that_take_long_are_written_less_often():
    assert [checkpoints.pause(seconds) for seconds in (0.0, 2.0, 3.0, 30.0)] == [60.0, 60.0, 60.0, 600.0]


def test_training_goes_on_without_checkpoints_where_they_cannot_be_written(
    learn, undisturbed, tmp_path, monkeypatch, caplog
):
    def full(*_, **__):
        raise OutputError("disk full")

    monkeypatch.setattr("training.runs.checkpoints.staged_folder", full)
    assert equal(learn("full", tmp_path), undisturbed["full"])
    assert "no checkpoint: disk full" in caplog.text
