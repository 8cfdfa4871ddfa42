"""Kinds of sources: the built-in ones, and those that a plugin adds."""

import json
from pathlib import Path

import pytest

from router_plugin import PluginError, hookimpl, source_kinds
from router_plugin.plugins.manager import Plugins, plugins
from training import (
    ColumnFilter,
    Labelled,
    PrepareOptions,
    SourceError,
    SourceKind,
    prepare_source,
    read_prepared,
)
from training.sources.labels import collect
from training.tables.options import ReadOptions
from training.tables.reading import BadRows

BUILT_IN = ["pairs", "labels", "logs", "triplets", "beir", "routes"]


def read_folders(source, options, *, where=None):
    """A folder of texts for each label."""
    rows = [
        Labelled(str(path), path.read_text(encoding="utf-8"), path.parent.name, {"label": path.parent.name})
        for path in sorted(Path(source).glob("*/*.txt"))
    ]
    return collect(source, rows, BadRows(options.skip_bad), where)


FOLDERS = SourceKind(
    name="folders",
    holds="a folder of texts for each label",
    read=read_folders,
    content="labels",
    options=("where",),
    hub=False,
)


class Folders:
    """A plugin."""

    def __init__(self, *kinds):
        self.kinds = kinds or (FOLDERS,)

    @hookimpl
    def source_kinds(self):
        return self.kinds


@pytest.fixture
def folders(tmp_path):
    """A source of that kind: three labels of four texts each."""
    for label in ("cards", "loans", "rates"):
        (tmp_path / "texts" / label).mkdir(parents=True)
        for number, verb in enumerate(("open", "close", "compare", "explain")):
            text = f"{verb} {label} please, case {number}"
            (tmp_path / "texts" / label / f"{number}.txt").write_text(text, encoding="utf-8")
    return tmp_path / "texts"


@pytest.fixture
def installed(monkeypatch):
    """The plugin in this process's command line."""
    with_folders = Plugins()
    with_folders.register(Folders(), "folders")
    for user in ("router_plugin.cli", "router_plugin.plugins.source_kinds"):
        name = "load_plugins" if user == "router_plugin.cli" else "plugins"
        monkeypatch.setattr(f"{user}.{name}", lambda: with_folders)


def test_built_in_kinds_come_from_built_in_plugins():
    assert list(source_kinds()) == BUILT_IN
    hooks = {plugin.name: plugin.hooks for plugin in plugins().loaded()}
    assert hooks["source-kinds"] == hooks["routes-source"] == ("source_kinds",)


def test_a_kind_of_a_plugin_is_prepared_like_any_other(cli, installed, folders, tmp_path):
    status, out, err = cli("prepare", folders, "--kind", "folders", "--out", tmp_path / "out", "--split", "random")
    assert status == 0, err
    assert "12 texts of 3 labels" in out
    data = read_prepared(tmp_path / "out")
    assert data.labelled and data.manifest["source"] == str(folders)


def test_its_options_are_checked_and_reach_its_reader(cli, installed, folders, tmp_path):
    command = ("prepare", folders, "--kind", "folders", "--out", tmp_path / "out", "--split", "random")
    status, out, err = cli(*command, "--where", "label=cards,loans", "--json")
    assert (status, json.loads(out or "{}")["counts"]["texts"]) == (0, 8), err
    for refused in (("--question", "q"), ("--hub-split", "train"), ("--chunk-characters", 9)):
        status, _, err = cli(*command, *refused, "--overwrite")
        assert (status, err) == (2, f"error: {refused[0]} cannot be used with --kind folders\n")


def test_help_and_an_unknown_kind_list_the_kinds_of_plugins(cli, installed, folders, tmp_path):
    _, out, _ = cli("prepare", "--help")
    assert "folders a folder of texts for each label" in " ".join(out.split())
    status, _, err = cli("prepare", folders, "--kind", "fairs", "--out", tmp_path / "out")
    assert (status, err) == (2, f"error: --kind fairs: expected {', '.join((*BUILT_IN, 'folders'))}\n")


def test_the_python_interface_prepares_any_kind(folders, tmp_path):
    found = prepare_source(FOLDERS, str(folders), tmp_path / "out", splitting=PrepareOptions(split="random"))
    assert (found.manifest["counts"]["texts"], found.skipped) == (12, [])
    with pytest.raises(SourceError, match="^`label` cannot be used with `kind` folders$"):
        prepare_source(FOLDERS, str(folders), tmp_path / "other", label="x")
    with pytest.raises(SourceError, match="^`hub_config` cannot be used with `kind` folders$"):
        prepare_source(FOLDERS, str(folders), tmp_path / "other", reading=ReadOptions(hub_config="x"))
    assert not (tmp_path / "other").exists()


def test_a_reader_that_fails_is_named_with_its_plugin_and_a_bad_source_is_not(tmp_path):
    def read(source, options):
        raise SourceError("bad source") if source == "bad" else KeyError("bug")

    loaded = Plugins()
    loaded.register(Folders(SourceKind("mine", "x", read, "pairs")), "mine-plugin")
    kind = source_kinds(loaded)["mine"]
    with pytest.raises(SourceError, match="^bad source$"):
        prepare_source(kind, "bad", tmp_path / "out")
    with pytest.raises(PluginError, match="^plugin mine-plugin failed to read a source of kind mine: KeyError"):
        prepare_source(kind, "other", tmp_path / "out")


def test_a_reader_that_returns_something_else_is_named(tmp_path):
    kind = SourceKind("mine", "x", lambda source, options: Bunch(), "pairs")
    with pytest.raises(SourceError, match="^source kind mine: its reader returned Bunch, expected pairs"):
        prepare_source(kind, "x", tmp_path / "out")


class Bunch:
    """Nothing that can be prepared."""


def test_two_kinds_of_one_name_are_refused():
    loaded = Plugins()
    loaded.register(Folders(SourceKind("pairs", "x", read_folders, "labels")), "mine")
    with pytest.raises(PluginError, match="plugin mine: source kind pairs is defined by plugin source-kinds"):
        source_kinds(loaded)


def test_columns_that_rows_are_held_out_by_are_read(tmp_path):
    source = tmp_path / "pairs.jsonl"
    rows = [{"question": f"what is {n}", "answer": f"number {n} is it", "year": n % 3} for n in range(30)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    splitting = PrepareOptions(split="random", hold_out=(ColumnFilter("year", ("2",)),))
    found = prepare_source(source_kinds()["pairs"], str(source), tmp_path / "out", splitting=splitting)
    assert found.manifest["counts"]["test_queries"] == 10
