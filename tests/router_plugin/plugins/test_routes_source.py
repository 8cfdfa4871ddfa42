"""Routes files: an utterance's label is its route, and a domain's routes can be taken alone."""

import json

import pytest
from typer.testing import CliRunner

from router_plugin import load_routes
from router_plugin.cli import app
from router_plugin.plugins.routes_source import read_routes
from tests.conftest import EXAMPLES
from training import SourceError, read_prepared
from training.tables.column_filter import ColumnFilter
from training.tables.options import ReadOptions

ROUTES = EXAMPLES / "routes.yaml"


def command(source, out, *arguments):
    return CliRunner().invoke(app, ["prepare", str(source), "--kind", "routes", "--out", str(out), *arguments])


def test_every_utterance_is_a_text_with_its_route_as_label():
    found = read_routes(str(ROUTES), ReadOptions())
    assert [(each.text, each.label) for each in found.texts] == [
        (utterance, route.name) for route in load_routes(ROUTES) for utterance in route.utterances
    ]


def test_relevant_is_what_is_of_the_same_route(tmp_path):
    assert command(ROUTES, tmp_path / "out").exit_code == 0
    route_of = {utterance: route.name for route in load_routes(ROUTES) for utterance in route.utterances}
    data = read_prepared(tmp_path / "out")
    assert data.labelled
    for qrels in data.qrels.values():
        for query, documents in qrels.items():
            route = route_of[data.queries[query]]
            assert {data.corpus[name] for name in documents} == {
                text for text in data.corpus.values() if route_of[text] == route
            }


def test_the_routes_of_a_domain_can_be_taken_alone():
    found = read_routes(str(ROUTES), ReadOptions(), where=ColumnFilter("domain", ("medical",)))
    assert {each.label for each in found.texts} == {"symptoms", "medicines", "tests"}
    found = read_routes(str(ROUTES), ReadOptions(), where=ColumnFilter("route", ("human", "tests")))
    assert {each.label for each in found.texts} == {"human", "tests"}
    with pytest.raises(SourceError, match="`where` domain=law: no row has that value: found finance"):
        read_routes(str(ROUTES), ReadOptions(), where=ColumnFilter("domain", ("law",)))


def test_json_is_read_as_yaml_is(tmp_path):
    path = tmp_path / "routes.json"
    path.write_text(json.dumps({"routes": [{"name": "a", "utterances": ["x  y"]}]}), encoding="utf-8")
    assert [each.text for each in read_routes(str(path), ReadOptions()).texts] == ["x y"]


def test_an_utterance_of_two_routes_is_reported_with_both_or_counted(tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text("routes: [{name: a, utterances: [pay, Send]}, {name: b, utterances: [send, go]}]")
    with pytest.raises(SourceError, match=r"routes\.yaml, route 'b', utterance 1: .* route 'a', utterance 2 it has"):
        read_routes(str(path), ReadOptions())
    found = read_routes(str(path), ReadOptions(skip_bad=True))
    assert ([each.text for each in found.texts], len(found.skipped)) == (["pay", "Send", "go"], 1)


@pytest.mark.parametrize("arguments", [("--text", "a"), ("--hub-split", "train"), ("--chunk-characters", "9")])
def test_options_of_other_kinds_are_refused(tmp_path, arguments):
    done = command(ROUTES, tmp_path / "out", *arguments)
    assert str(done.exception) == f"{arguments[0]} cannot be used with --kind routes"


def test_a_mistake_in_the_file_is_reported_with_its_line(tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text("routes:\n  - name: a\n    utterance: [pay]\n")
    done = command(path, tmp_path / "out")
    assert done.exit_code != 0
    assert "line 3" in done.output + str(done.exception)
    assert not (tmp_path / "out").exists()
