"""Imports of the packages: no torch before it is needed, nothing that unpickles, and only allowed packages."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.registry.samples import run_python, write_model

ROOT = Path(__file__).parents[2]
SOURCES = [path for name in ("registry", "training", "router_plugin") for path in sorted((ROOT / name).rglob("*.py"))]

HEAVY = {"torch", "transformers", "sentence_transformers", "datasets", "sklearn", "scipy"}
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}
UNSAFE_CALLS = {"torch.load", "pd.read_pickle", "pandas.read_pickle", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}


@cache
def trees():
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES]


@cache
def imported(tree):
    """Every imported module with its line, those inside functions too."""
    return list(imports_in(tree))


def imports_in(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module), node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def modules_after(code, *arguments):
    """Which modules a fresh process has loaded after the code."""
    return set(run_python(f"{code}\nimport sys\nprint('\\n'.join(sys.modules))", *arguments).splitlines())


def test_the_sources_are_found():
    assert {"registry.py", "adaptation.py", "router.py"} <= {path.name for path in SOURCES}


def test_no_module_that_unpickles_is_imported():
    found = [
        f"{path}:{line}: {name}"
        for path, tree in trees()
        for name, line in imported(tree)
        if set(name.split(".")) & UNSAFE_MODULES or name in UNSAFE_CALLS
    ]
    assert found == []


def test_no_function_that_unpickles_or_evaluates_text_is_called():
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name, options = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
            loads_array = name in ("np.load", "numpy.load") and options.get("allow_pickle") != "False"
            unsafe_yaml = name == "yaml.load" and not options.get("Loader", "").endswith("SafeLoader")
            unsafe = UNSAFE_CALLS - {"yaml.load"} | {"eval", "exec"}
            if loads_array or unsafe_yaml or name in unsafe or options.get("weights_only") == "False":
                found.append(f"{path}:{node.lineno}: {name}")
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "forbidden"), [("registry", {"training", "router_plugin"}), ("training", {"router_plugin"})]
)
def test_packages_import_only_what_they_may(package, forbidden):
    found = [
        f"{path}:{line}: {name}"
        for path, tree in trees()
        for name, line in imported(tree)
        if path.is_relative_to(ROOT / package) and name.split(".")[0] in forbidden
    ]
    assert found == []


USERS_OF_TRAINING = {"cli", "comparison", "evaluation", "hookspecs.py", "improving", "plugins", "reindexing"}
"""Rooms of the router that prepare, train or read data files; a router that serves imports none of them for that."""


EARLY = re.compile(r"training\.(\w+\.)?(options|recipes)(\.\w+)?")
"""Modules of training that the command line may import at its start: options, which it derives its own from."""


def test_the_router_imports_training_late_and_not_to_serve():
    for path, tree in trees():
        if not path.is_relative_to(ROOT / "router_plugin"):
            continue
        room = path.relative_to(ROOT / "router_plugin").parts[0]
        names = {name.split(".")[0] for name, _ in imported(tree)}
        early = {name for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))
                 for name, _ in imported(ast.Module([node], [])) if name.split(".")[0] == "training"}  # fmt: skip
        assert not early or (room == "cli" and all(EARLY.fullmatch(name) for name in early)), (path, early)
        assert "training" not in names or room in USERS_OF_TRAINING, path


TORCH = {"torch", "transformers", "sentence_transformers", "peft", "accelerate"}


def test_the_registry_imports_torch_only_in_model_folders():
    """Not even within functions; and there only the module that exports needs it to be imported."""
    rooms = [(path, tree) for path, tree in trees() if path.is_relative_to(ROOT / "registry")]
    found = {
        path.relative_to(ROOT / "registry")
        for path, tree in rooms
        for name, _ in imported(tree)
        if name.split(".")[0] in TORCH
    }
    assert found and all(path.parts[0] == "model_folders" for path in found)


def test_only_importing_exporting_loads_torch():
    names = {path.stem for path in (ROOT / "registry" / "model_folders").glob("*.py")} - {"__init__", "exporting"}
    assert len(names) > 6
    code = "\n".join(f"import registry.model_folders.{name}" for name in sorted(names))
    assert not modules_after(code) & (HEAVY | TORCH)


def test_importing_the_packages_loads_no_torch():
    assert not modules_after("import registry, training, router_plugin") & HEAVY


def test_the_client_of_a_server_loads_neither_models_nor_the_server():
    loaded = modules_after("from router_plugin import DomainRouterClient")
    assert "httpx" in loaded
    assert not loaded & {*HEAVY, "fastapi", "starlette", "uvicorn", "prometheus_client", "sqlalchemy", "training"}


def test_public_names_of_the_registry_load_no_torch():
    assert not modules_after("import registry\nfor name in registry.__all__: getattr(registry, name)") & HEAVY


def test_a_registry_is_used_without_torch(tmp_path):
    code = """
import sys
from pathlib import Path
from registry import Registry
from tests.registry.samples import make_record
registry = Registry.open(sys.argv[1])
version = registry.publish(Path(sys.argv[2]), make_record())
registry.promote(version.name)
registry.fetch(registry.get("medical"))
assert registry.verify(version) == []
"""
    assert not modules_after(code, tmp_path / "registry", write_model(tmp_path / "model")) & HEAVY


def test_help_and_listing_load_no_torch(tmp_path):
    code = """
import sys
from router_plugin.cli import main
for arguments in (["--help"], ["models", "list", "--registry", sys.argv[1]]):
    sys.argv[1:], kept = arguments, sys.argv[1:]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
    sys.argv[1:] = kept
"""
    loaded = modules_after(code, tmp_path)
    assert "router_plugin.cli" in loaded
    assert not loaded & HEAVY


OF_EXTRAS = (
    "httpx",
    "fastapi",
    "uvicorn",
    "orjson",
    "prometheus_client",
    "mcp",
    "openai",
    "tenacity",
    "semantic_router",
)


@pytest.mark.slow
def test_training_and_routing_import_nothing_of_an_extra():
    modules = (
        "training.pipeline",
        "training.preparing",
        "training.variants",
        "router_plugin.router",
        "router_plugin.cli",
    )
    hidden = f"import sys; sys.modules.update(dict.fromkeys({OF_EXTRAS}))"
    run_python(f"{hidden}\nimport {', '.join(modules)}")
