"""The floors of the house: which room may import which, how large a room is, and what its files say first."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from .conftest import ROOT

FLOORS = {
    "registry": [
        {"errors", "names", "paths", "progress", "texts"},
        {"records"},
        {"shared"},
        {"storage", "classifier_profiles", "cluster"},
        {"store"},
        {"policies", "webhooks", "watching", "model_folders", "pages"},
        {"aliasing"},
        {"signing"},
        {"catalog"},
        {"gates", "exchange"},
        {"registry", "snapshot"},
    ],
    "training": [
        {"errors"},
        {"cluster", "lazy_texts", "runs"},
        {"llm", "tables"},
        {"sources"},
        {"splitting"},
        {"prepared"},
        {"retrieval"},
        {"corpora", "mining"},
        {"judges", "recipes"},
        {"reporting", "assessment", "synthesis"},
        {
            "adaptation",
            "checks",
            "grouping",
            "imported",
            "job",
            "model_folder",
            "options",
            "pipeline",
            "preparing",
            "publishing",
            "readability",
            "ready_made",
            "variants",
            "worker_group",
        },
    ],
    "router_plugin": [
        {"errors"},
        {"batches", "contracts", "cosines", "joint_module", "routes", "settings"},
        {"conversations", "decision", "explanation", "hybrid", "routes_diff", "routes_text", "utterances"},
        {"client", "hookspecs"},
        {"encoders", "evaluation"},
        {"classifier"},
        {"plugins"},
        {"serving"},
        {"router", "joint_space"},
        {"tuning"},
        {"improving"},
        {"comparison", "hosts", "inspection", "reindexing"},
        {"exports", "server"},
        {"deployment"},
        {"cli"},
    ],
}
"""Of each package the floors from the ground up, each with its rooms and front modules."""

LARGEST_ROOM = 9
"""Files of a room, its ``__init__`` not counted."""


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def public_homes(package: str) -> dict[str, str]:
    """The module that each public name of a package is defined in, from its stub."""
    stub = ast.parse((ROOT / package / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: f"{package}.{node.module}" for node in imports for alias in node.names}


HOMES = {package: public_homes(package) for package in FLOORS}


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, with the line: at the top, in functions and for types alone.

    The types in the catalogue of hooks may come from any floor.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from imports_in(without_types(tree) if path.name == "hookspecs.py" else tree)


def imports_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every imported module or name with its line; our public names by the module they are defined in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            homes = HOMES.get(node.module, {})
            yield from ((homes.get(alias.name, f"{node.module}.{alias.name}"), node.lineno) for alias in node.names)


def room_of(module: str) -> tuple[str, str]:
    """Package and room (or front module) of a module."""
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0]


def is_room(package: str, name: str) -> bool:
    """Whether it is a folder; modules in front of the rooms may import each other on their floor."""
    return (ROOT / package / name).is_dir()


def floor_of(package: str, room: str) -> int:
    found = [number for number, rooms in enumerate(FLOORS[package]) if room in rooms]
    assert found, f"{package}/{room} is on no floor: add it to FLOORS"
    return found[0]


@pytest.mark.parametrize("package", FLOORS)
def test_a_room_imports_only_rooms_below_it(package):
    climbs = []
    for path in sources(package):
        _, room = room_of(module_name(path))
        for name, line in imported(path):
            other_package, other = room_of(name)
            if not room or other_package != package or other in (room, ""):
                continue
            below, own = floor_of(package, other), floor_of(package, room)
            if below > own or (below == own and is_room(package, room)):
                climbs.append(f"{path.relative_to(ROOT)}:{line}: {room} imports {other}")
    assert climbs == []


def without_types(tree: ast.Module) -> ast.Module:
    """The tree without what only a type checker reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    return tree


def runtime_imports(path: Path) -> set[str]:
    """The modules of ours that a file imports when it runs, in functions too."""
    tree = without_types(ast.parse(path.read_text(encoding="utf-8")))
    modules = {module_name(each) for package in FLOORS for each in sources(package)}
    return {module for name, _ in imports_in(tree) if (module := longest_module(name, modules))}


def longest_module(name: str, modules: set[str]) -> str | None:
    """The module that an imported name is, or is in; None for those of others."""
    return name if name in modules else name.rpartition(".")[0] if name.rpartition(".")[0] in modules else None


@pytest.mark.slow
def test_no_modules_import_each_other_in_a_circle():
    graph = {module_name(path): runtime_imports(path) for package in FLOORS for path in sources(package)}
    TopologicalSorter({module: found - {module} for module, found in graph.items()}).prepare()  # raises CycleError


@pytest.mark.parametrize("package", FLOORS)
def test_no_room_is_crowded(package):
    rooms = {path.parent for path in sources(package) if path.parent.parent != ROOT} - {
        ROOT / package,
        *(path.parent for path in sources(package) if path.parent.name == "versions"),
    }
    sizes = {str(room.relative_to(ROOT)): len(list(room.glob("*.py"))) - 1 for room in rooms}
    assert {room: size for room, size in sizes.items() if not 1 <= size <= LARGEST_ROOM} == {}


@pytest.mark.parametrize("package", FLOORS)
def test_every_file_says_first_what_it_holds(package):
    silent = [path for path in sources(package) if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert silent == []


def test_the_architecture_lists_the_floors():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("## Floors")[2].split("\n\n")[2]
    rows = [line.strip("|").split("|") for line in table.splitlines()]
    for column, name in enumerate(rows[0]):
        listed = [set(re.findall(r"`(\w+)`", row[column])) for row in rows[2:]]
        assert [floor for floor in listed if floor] == FLOORS[name.strip(" `/")][::-1]
