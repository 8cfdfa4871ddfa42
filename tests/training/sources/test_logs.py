"""Router logs: feedback makes labels, what says nothing is counted, and the router's decisions are read as printed."""

import json
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from router_plugin.cli import app
from router_plugin.decision import Decision
from tests.conftest import EXAMPLES
from training import SourceError, SplitOptions, prepare_labels, read_logs, read_prepared
from training.sources.logs import ACCEPTED_COLUMNS, CORRECTED_COLUMNS, QUERY_COLUMNS, ROUTE_COLUMNS, read_judged_texts
from training.tables.column_filter import ColumnFilter
from training.tables.options import ReadOptions

LOG = EXAMPLES / "router_log.jsonl"


def read(folder, rows, *reading, **options):
    path = folder / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_logs(str(path), *reading, **options)


def row(query, route="billing", **feedback):
    return {"query": query, "route": route, **feedback}


def labels(found):
    return {each.text: each.label for each in found.texts}


@pytest.mark.parametrize("query", [" QUERY", *QUERY_COLUMNS])
@pytest.mark.parametrize("route", ["Route", *ROUTE_COLUMNS])
def test_usual_names_of_query_and_route_are_found_in_any_case(tmp_path, query, route):
    assert labels(read(tmp_path, [{query: " a  b ", route: "x", "accepted": True}])) == {"a b": "x"}


@pytest.mark.parametrize("name", ["Accepted ", *ACCEPTED_COLUMNS])
@pytest.mark.parametrize("yes", [True, 1, 1.0, "1", "Yes", "TRUE", "y"])
@pytest.mark.parametrize("no", [False, 0, 0.0, "0", "no", "False ", "N"])
def test_what_was_accepted_has_the_chosen_route_as_its_label(tmp_path, name, yes, no):
    found = read(tmp_path, [row("a", **{name: yes}), row("b", **{name: no}), row("c", **{name: None})])
    assert labels(found) == {"a": "billing"}
    assert (found.set_aside["rejected"], found.set_aside["without_feedback"]) == (1, 1)


@pytest.mark.parametrize("name", ["CORRECTED", *CORRECTED_COLUMNS])
@pytest.mark.parametrize("accepted", [{}, {"accepted": False}, {"accepted": None}])
def test_what_was_corrected_has_the_correction_as_its_label(tmp_path, name, accepted):
    assert labels(read(tmp_path, [row("a", **{name: "refunds"}, **accepted)])) == {"a": "refunds"}


@pytest.mark.parametrize("nothing", [None, "", " ", "null", "None"])
def test_an_empty_correction_names_no_route(tmp_path, nothing):
    rows = [row("a", accepted=True, corrected=nothing), row("b", accepted=False, corrected=nothing)]
    rows += [row("c", corrected=nothing), row("d", nothing, accepted=True)]
    found = read(tmp_path, rows)
    assert labels(found) == {"a": "billing"}
    assert (found.set_aside["rejected"], found.set_aside["without_feedback"], found.out_of_scope) == (1, 1, 1)


def test_the_majority_decides_and_a_tie_is_left_out(tmp_path):
    rows = [row("Most", accepted=1), row("most", accepted=1), row("most ", corrected="refunds")]
    rows += [row("tie", accepted=1), row("tie", corrected="refunds")]
    rows += [row("rejected as often", accepted=1), row("rejected as often", accepted=0)]
    rows += [row("another rejected", "other", accepted=0), row("another rejected", accepted=1)]
    found = read(tmp_path, rows)
    assert labels(found) == {"Most": "billing", "another rejected": "billing"}
    assert found.set_aside == {"without_feedback": 0, "rejected": 2, "at_odds": 3, "undecided": 2}


feedback = st.tuples(
    st.sampled_from(["q1", "q2", "Q1"]),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([{"accepted": True}, {"accepted": False}, {"corrected": "a"}, {"corrected": "b"}, {}]),
)


@settings(max_examples=60)
@given(st.lists(feedback, min_size=1, max_size=12))
def test_a_label_needs_more_rows_than_any_other_and_than_reject_it(tmp_path_factory, rows):
    votes, against = defaultdict(Counter), defaultdict(Counter)
    for query, route, said in rows:
        if said.get("corrected") or said.get("accepted"):
            votes[query.casefold()][said.get("corrected", route)] += 1
        elif said:
            against[query.casefold()][route] += 1
    expected = {
        query: label
        for query, counted in votes.items()
        for label, count in counted.items()
        if all(count > other for name, other in counted.items() if name != label) and count > against[query][label]
    }
    try:
        found = read(tmp_path_factory.mktemp("log"), [row(query, route, **said) for query, route, said in rows])
    except SourceError:
        assert not expected
        return
    assert {text.casefold(): label for text, label in labels(found).items()} == expected


BAD_ROWS = {
    "no query": ({"route": "a", "accepted": 1}, "no text column: expected one of query, text"),
    "no route": ({"query": "a", "accepted": 1}, "no label column: expected one of route, chosen_route"),
    "neither yes nor no": (row("b", accepted="maybe"), "accepted is 'maybe': expected true or false, 1 or 0"),
    "a list": (row("b", accepted=[1]), "accepted is [1]: expected true or false"),
    "a list as a route": (row("b", ["x"], accepted=1), "route is list: expected text"),
    "accepted and corrected": (row("b", accepted=1, corrected="c"), "billing is accepted, but corrected to c"),
    "rejected for itself": (row("b", accepted=0, corrected="billing"), "billing is not accepted, but corrected to"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_reported_with_its_file_and_line_or_counted(tmp_path, case):
    bad, said = BAD_ROWS[case]
    with pytest.raises(SourceError) as caught:
        read(tmp_path, [row("a", accepted=1), bad])
    assert str(caught.value).startswith(f"{tmp_path / 'log.jsonl'}, line 2: ")
    assert said in str(caught.value)
    found = read(tmp_path, [row("a", accepted=1), bad], ReadOptions(skip_bad=True))
    assert (labels(found), len(found.skipped)) == ({"a": "billing"}, 1)


def test_a_log_without_any_feedback_is_reported(tmp_path):
    with pytest.raises(SourceError, match="no row says whether its route was right: expected a column accepted"):
        read(tmp_path, [row("a"), row("b")])


def test_a_log_of_rejections_alone_is_reported(tmp_path):
    with pytest.raises(SourceError, match="no row accepts or corrects a route"):
        read(tmp_path, [row("a", accepted=False), row("b", None, accepted=True)])


def test_named_columns_win_over_the_usual_ones(tmp_path):
    rows = [{"query": "a", "route": "b", "accepted": 0, "corrected": "c", "Q": "w", "R": "x", "ok": 1, "fix": "x"}]
    assert labels(read(tmp_path, rows, text="q", label="r", accepted="OK", corrected="Fix")) == {"w": "x"}


def test_the_decisions_that_the_router_prints_are_read_as_they_are(tmp_path):
    def decided(query, route, domain, **feedback):
        decision = Decision(query, route, 0.4, domain, {domain: 0.9, "general": 0.1}, "m@1", {"total": 1.0}, ["x"])
        return {**decision.to_dict(), **feedback}

    rows = [
        decided("a", "tests", "medical", accepted=True),
        decided("b", "tests", "medical", accepted=False, corrected="symptoms"),
        decided("c", None, "general", accepted=True),
        decided("d", None, "general", accepted=False, corrected="courts"),
    ]
    assert labels(read(tmp_path, rows)) == {"a": "tests", "b": "symptoms", "d": "courts"}
    assert labels(read(tmp_path, rows, where=ColumnFilter("domain", ("medical",)))) == {"a": "tests", "b": "symptoms"}


def test_parts_are_honoured(tmp_path):
    rows = [
        {**row(f"{route} {n} of {n * 7}", route, accepted=True), "part": part}
        for route in ("pay", "send")
        for n, part in enumerate(["train"] * 4 + ["dev"] * 2 + ["test"])
    ]
    counts = prepare_labels(read(tmp_path, rows), tmp_path / "out", SplitOptions(split="random"))["counts"]
    assert (counts["dev_queries"], counts["test_queries"]) == (4, 2)


def test_the_command_counts_what_was_left_out(tmp_path):
    done = CliRunner().invoke(app, ["prepare", str(LOG), "--kind", "logs", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert (
        "2 without feedback, 1 rejected without another route, 1 with conflicting feedback, 0 undecided" in done.output
    )
    data = read_prepared(tmp_path / "out")
    assert data.labelled
    assert data.manifest["counts"]["out_of_scope"] == 2


def judged(folder, rows):
    path = folder / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {each.text: each for each in read_judged_texts(path)}


def test_judged_texts_tell_what_is_right_what_is_wrong_and_what_was_corrected(tmp_path):
    found = judged(
        tmp_path,
        [
            row("a", "pay", accepted=True),
            row("b", "pay", accepted=False, corrected="send"),
            row("B", "", corrected="send"),
            row("c", "", accepted=True),
            row("d", "pay", accepted=False),
            row("e", "", accepted=False),
            row("f", "pay"),
            row("g", "pay", accepted=True),
            row("G", "pay", accepted=False),
        ],
    )
    assert {text: each.label for text, each in found.items()} == {
        **{"a": "pay", "b": "send", "c": "", "d": None, "e": None, "f": None, "g": None}
    }
    assert {text: set(each.rejected) for text, each in found.items() if each.rejected} == {
        **{"d": {"pay"}, "e": {""}, "g": {"pay"}}
    }
    assert found["b"].corrections == (("pay", "send"), ("", "send"))


@given(st.lists(feedback, min_size=1, max_size=12))
def test_judged_texts_have_the_labels_of_the_log(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("log")
    said = [row(query, route, **feedback) for query, route, feedback in rows]
    try:
        expected = labels(read(folder, said))
    except SourceError:
        return
    assert {text: each.label for text, each in judged(folder, said).items() if each.label} == expected
