"""Adapters: what training with `lora` writes, that it is small and exact, and that it loads on its own base only."""

import json
import shutil

import numpy as np
import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from registry import BaseModelError, resolve_base_model
from registry.classifier_profiles.profiles import FILE_NAME
from registry.model_folders.adapters import has_adapter
from tests.training.samples import LEARNING, QUICK
from tests.training.test_adaptation import timeless
from training import Contrastive, ReferenceTriplet, TrainingError, TrainingJob, adapt
from training.recipes.finetune import train_adapter_only
from training.recipes.interpolation import interpolate
from training.recipes.recipes import make_recipe
from training.retrieval.encoding import load_model
from training.retrieval.states import State
from training.retrieval.texts import Texts
from training.runs.run import save_model

pytestmark = pytest.mark.slow

TEXTS = ["please tell about apple castle", "kindly something desert engine", "which people often wish"]
RECIPE = LEARNING.replace(lora=16, min_steps=60)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, trained, tiny_base):
    """The folder and the report of two iterations on data that can be learned."""
    out = tmp_path_factory.mktemp("adapter") / "out"
    return out, adapt(TrainingJob(trained.data, "words", tiny_base, RECIPE, device="cpu"), out)


@pytest.fixture
def copy(adapter, tmp_path):
    """The same folder, to be changed."""
    return shutil.copytree(adapter[0], tmp_path / "copy")


def vectors(model):
    return model.encode(TEXTS, normalize_embeddings=True)


def with_random_adapter(base, rank=4):
    """The base model with an adapter that does something."""
    model = load_model(base.path, "cpu")
    train_adapter_only(model, rank, seed=1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.normal_(std=0.2)
    return model


def without_adapter(model):
    """The weights of a model but for its adapter, under the names of the base model."""
    return {name.replace(".base_layer", ""): w for name, w in model.state_dict().items() if ".lora_" not in name}


def merged(model, base):
    """A whole model with the adapter in its weights."""
    for layer in model.modules():
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
    whole = load_model(base.path, "cpu")
    whole.load_state_dict(without_adapter(model))
    return whole


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


def test_an_adapter_learns_over_its_iterations(adapter):
    _, report = adapter
    assert report.improved and len(report.iterations) == 3
    assert report.adapted_metrics["test"]["ndcg@10"] > report.base_metrics["test"]["ndcg@10"] + 0.1
    assert report.options["lora"] == 16


def test_the_same_seed_gives_the_same_adapter(adapter, trained, tiny_base, tmp_path):
    out, report = adapter
    again = adapt(TrainingJob(trained.data, "words", tiny_base, RECIPE, device="cpu"), tmp_path / "out")
    assert timeless(again) == timeless(report)
    for path in out.rglob("*"):
        if path.is_file() and path.name not in ("report.json", "report.html", FILE_NAME):
            assert (tmp_path / "out" / path.relative_to(out)).read_bytes() == path.read_bytes(), path


def test_the_folder_holds_the_adapter_in_half_precision_and_nothing_that_the_base_model_has(adapter):
    out, _ = adapter
    files = {path.name for path in out.rglob("*") if path.is_file()}
    assert {"adapter_config.json", "adapter_model.safetensors", "base_model.json", "modules.json"} < files
    assert not files & {"model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"}
    tensors = load_file(out / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert all(".lora_A." in name or ".lora_B." in name for name in tensors)
    linear = ("query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense")
    assert all(any(f"{name}.lora_A" in key for key in tensors) for name in linear)
    assert not any("pooler" in key for key in tensors)


def test_an_adapter_of_minilm_of_rank_16_is_at_most_2_mb_with_all_but_its_profile(real_base, tmp_path):
    save_model(with_random_adapter(real_base, rank=16), tmp_path, real_base)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 1.4e6
    config = json.loads((tmp_path / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "sentence-transformers/all-MiniLM-L6-v2"


def test_what_was_measured_is_what_is_stored(adapter, trained, tmp_path):
    out, report = adapter
    state = State("stored", tmp_path / "vectors", lambda: load_model(out, "cpu"), Texts(trained.data), 64, "cpu")
    assert state.metrics("test") == report.adapted_metrics["test"]


def test_half_precision_hardly_changes_vectors(tiny_base, tmp_path):
    model = with_random_adapter(tiny_base)
    save_model(model, tmp_path, tiny_base)
    loaded = load_model(tmp_path, "cpu")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert np.allclose(vectors(loaded), vectors(model.eval()), atol=2e-3)
    save_model(load_model(tmp_path, "cpu"), tmp_path / "again", tiny_base)
    assert (tmp_path / "again" / "adapter_model.safetensors").read_bytes() == (
        tmp_path / "adapter_model.safetensors"
    ).read_bytes()


def test_plain_sentence_transformers_loads_the_folder_and_gives_the_same_vectors(adapter):
    plain, ours = (
        SentenceTransformer(str(adapter[0]), device="cpu", local_files_only=True),
        load_model(adapter[0], "cpu"),
    )
    assert np.allclose(vectors(plain), vectors(ours), atol=1e-6)
    assert plain.max_seq_length == ours.max_seq_length == 64


def test_an_adapter_keeps_the_maximum_length_and_the_prompts_it_was_trained_with(tiny_base, tmp_path):
    model = load_model(tiny_base.path, "cpu")
    model.prompts, model.max_seq_length = {"query": "zebra: ", "document": ""}, 32
    model.save_pretrained(str(tmp_path / "base"))
    base = resolve_base_model(str(tmp_path / "base"))
    save_model(with_random_adapter(base), tmp_path / "adapter", base)
    for loaded in (load_model(tmp_path / "adapter", "cpu"), load_model(tmp_path / "adapter", "cpu", base=tiny_base)):
        assert (loaded.prompts, loaded.max_seq_length) == ({"query": "zebra: ", "document": ""}, 32)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_scaling_an_adapter_is_interpolating_the_merged_weights(tiny_base, share):
    whole = merged(with_random_adapter(tiny_base), tiny_base)
    interpolate(whole, load_model(tiny_base.path, "cpu"), share)
    scaled = with_random_adapter(tiny_base)
    interpolate(scaled, load_model(tiny_base.path, "cpu"), share)
    assert np.allclose(vectors(scaled.eval()), vectors(whole.eval()), atol=1e-6)
    same = merged(scaled, tiny_base).state_dict()
    assert all(torch.allclose(same[name], weight, atol=1e-6) for name, weight in whole.state_dict().items())


def test_only_the_adapter_is_trained(adapter, tiny_base):
    model = load_model(tiny_base.path, "cpu")
    train_adapter_only(model, 4, seed=1)
    trainable = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert trainable and all(".lora_" in name for name in trainable)
    after, before = without_adapter(load_model(adapter[0], "cpu")), load_model(tiny_base.path, "cpu").state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_an_adapter_that_beats_nothing_equals_the_base_model(trained, tiny_base, tmp_path):
    for recipe in (
        QUICK.replace(lora=2, interpolation_weight=0.0),
        ReferenceTriplet(iterations=1, lora=2, interpolation_weight=0.0),
    ):
        out = tmp_path / recipe.name
        report = adapt(TrainingJob(trained.data, "words", tiny_base, recipe, device="cpu"), out)
        assert not report.improved
        model = load_model(out, "cpu")
        assert has_adapter(model) and not (out / "model.safetensors").exists()
        assert np.allclose(vectors(model), vectors(load_model(tiny_base.path, "cpu")), atol=1e-6)


def test_an_adapter_finds_its_base_model_at_another_place(adapter, tiny_base, tmp_path, copy):
    change(copy / "base_model.json", name=str(tmp_path / "moved"))
    with pytest.raises(BaseModelError, match="which is not available.*moved"):
        load_model(copy, "cpu")
    assert np.array_equal(vectors(load_model(copy, "cpu", base=tiny_base)), vectors(load_model(adapter[0], "cpu")))
    shutil.copytree(tiny_base.path, tmp_path / "moved")
    assert np.array_equal(vectors(load_model(copy, "cpu")), vectors(load_model(adapter[0], "cpu")))


def test_a_base_model_with_other_weights_is_refused_and_both_are_named(copy, real_base, tiny_base):
    change(copy / "base_model.json", name="all-MiniLM-L6-v2")
    with pytest.raises(BaseModelError) as error:
        load_model(copy, "cpu", base=real_base)
    for part in (str(copy), tiny_base.digest, real_base.digest, str(real_base.path)):
        assert part in str(error.value)


def test_the_base_model_named_in_the_adapters_own_configuration_is_never_looked_at(adapter, copy):
    change(copy / "adapter_config.json", base_model_name_or_path="/no/such/model")
    assert np.array_equal(vectors(load_model(copy, "cpu")), vectors(load_model(adapter[0], "cpu")))


@pytest.mark.parametrize(
    "strange",
    [
        {"megatron_config": {}, "megatron_core": "os"},
        {"peft_type": "IA3"},
        {"target_modules": "(a+)+"},
        {"target_modules": []},
        {"r": 0},
        {"use_dora": True},
        {"auto_mapping": {"parent_library": "os", "base_model_class": "system"}},
    ],
    ids=lambda strange: next(iter(strange)),
)
def test_a_configuration_that_training_never_writes_is_refused(copy, strange):
    change(copy / "adapter_config.json", **strange)
    with pytest.raises(BaseModelError, match=r"adapter_config\.json"):
        load_model(copy, "cpu")


def damage_missing(folder):
    (folder / "adapter_model.safetensors").unlink()


def damage_pickled(folder):
    damage_missing(folder)
    torch.save({"x": torch.zeros(1)}, folder / "adapter_model.bin")


def damage_bytes(folder):
    (folder / "adapter_model.safetensors").write_bytes(b"no tensors")


def damage_names(folder):
    save_file({"other": torch.zeros(1)}, folder / "adapter_model.safetensors")


def damage_part(folder):
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file(dict(list(tensors.items())[1:]), folder / "adapter_model.safetensors")


def damage_shapes(folder):
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file({name: tensor[:, :1].clone() for name, tensor in tensors.items()}, folder / "adapter_model.safetensors")


DAMAGES = [damage_missing, damage_pickled, damage_bytes, damage_names, damage_part, damage_shapes]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_weights_that_do_not_fit_are_refused_by_name(copy, damage):
    damage(copy)
    with pytest.raises(BaseModelError, match=r"adapter_model\.safetensors"):
        load_model(copy, "cpu")


def test_an_adapter_cannot_be_a_base_model(adapter):
    with pytest.raises(BaseModelError, match="is an adapter"):
        resolve_base_model(str(adapter[0]))


def test_a_model_without_a_transformer_cannot_have_an_adapter(tiny_base, trained, tmp_path):
    tokenizer = load_model(tiny_base.path, "cpu").tokenizer.backend_tokenizer
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu").save(
        str(tmp_path / "base")
    )
    base = resolve_base_model(str(tmp_path / "base"))
    with pytest.raises(BaseModelError, match="holds 0 transformers"):
        adapt(TrainingJob(trained.data, "words", base, QUICK.replace(lora=2), device="cpu"), tmp_path / "out")


@pytest.mark.parametrize("rank", [0, -1])
def test_a_rank_below_one_is_refused(rank):
    with pytest.raises(TrainingError, match=f"^`lora` {rank}: expected a whole number of at least 1$"):
        make_recipe("contrastive", {"lora": rank})


def test_an_adapter_is_trained_at_a_higher_rate_unless_one_is_given():
    rates = [recipe.learning_rate for recipe in (Contrastive(), Contrastive(lora=2), ReferenceTriplet(lora=2))]
    assert rates == [5e-5, 5e-4, 5e-4]
    assert make_recipe("contrastive", {"lora": 2, "learning_rate": 1e-4}).learning_rate == 1e-4
