"""``synthesize`` and ``train --judge`` from the command line: what they print, leave and refuse; plugins' judges."""

import json

import pytest

from router_plugin.hookspecs import hookimpl
from router_plugin.plugins.manager import plugins
from tests.router_plugin.cli.test_cli import FEW, mistake
from tests.training.llm.chat_server import KEY, chat_server, shared_words, two_questions
from training import prepare, read_pairs

GUIDE = """# Fever

A fever is a body temperature above normal. It is often a sign of an infection. Drink water and rest in bed.

## When to call

Call a doctor when the fever lasts for three days. Call at once when it is above forty degrees. Tell what you took.
"""


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "fever.md").write_text(GUIDE, encoding="utf-8")
    return tmp_path / "corpus"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("MODEL_KEY", KEY)
    with chat_server(two_questions) as running:
        yield running


def asking(server, tmp_path):
    options = ("--llm", server.url, "--model", "tiny", "--key-variable", "MODEL_KEY", "--cache", tmp_path / "cache")
    return (*options, "--concurrency", 1)


def rows(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_documents_become_pairs_without_a_language_model(cli, corpus, tmp_path):
    out = tmp_path / "pairs.jsonl"
    status, said, err = cli("synthesize", corpus, "--out", out)
    assert (status, err) == (0, "")
    assert "6 pairs (2 title, 2 sentence, 2 keywords) of 2 passages in 1 documents" in said
    assert {row["document"] for row in rows(out)} == {"fever.md"}
    assert {row["question"] for row in rows(out) if row["kind"] == "title"} == {"Fever", "Fever: When to call"}
    first = out.read_bytes()
    assert cli("synthesize", corpus, "--out", out, "--overwrite", "--json")[0] == 0
    assert out.read_bytes() == first


def test_documents_without_passages_are_reported(cli, corpus, tmp_path):
    (corpus / "empty.txt").write_text("", encoding="utf-8")
    (corpus / "short.html").write_text("<h1>Fever</h1>See below.", encoding="utf-8")
    status, said, err = cli("synthesize", corpus, "--out", tmp_path / "pairs.jsonl")
    assert status == 0 and "of 2 passages in 3 documents" in said
    assert err == "2 documents have no passage of at least 8 words that is not a duplicate\n"


def test_documents_become_pairs_with_a_language_model_once(cli, corpus, tmp_path, server):
    out = tmp_path / "pairs.jsonl"
    prices = ("--price-in", 1, "--price-out", 2, "--budget", 1)
    status, said, err = cli("synthesize", corpus, "--out", out, *asking(server, tmp_path), *prices)
    assert status == 0
    assert "4 pairs (4 llm)" in said
    assert "2 requests, 200 input tokens, 20 output tokens, cost 0.0002" in said
    first = out.read_bytes()
    status, said, _ = cli("synthesize", corpus, "--out", out, *asking(server, tmp_path), "--overwrite", "--json")
    assert json.loads(said)["requests"] == 0
    assert out.read_bytes() == first
    assert len(server.asked) == 2
    assert server.keys == [f"Bearer {KEY}"] * 2
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in said + err
    assert KEY.encode() not in everything


def test_a_budget_ends_it_with_one_line_nothing_half_written_and_every_answer_kept(cli, corpus, tmp_path, server):
    out = tmp_path / "pairs.jsonl"
    small = ("--price-in", 0, "--price-out", 1, "--budget", 0.00103)
    ended = cli("synthesize", corpus, "--out", out, *asking(server, tmp_path), *small)
    mistake(ended, "--budget 0.00103 is used up", "1 requests", "run the same command again")
    assert not out.exists()
    assert cli("synthesize", corpus, "--out", out, *asking(server, tmp_path), "--price-out", 1, "--budget", 1)[0] == 0
    assert len(server.asked) == 2


def test_a_refused_key_is_not_shown(cli, corpus, tmp_path, server):
    server.always = "401"
    ended = cli("synthesize", corpus, "--out", tmp_path / "pairs.jsonl", *asking(server, tmp_path))
    mistake(ended, server.url, "--key-variable")
    assert KEY not in "".join(map(str, ended))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--llm", "http://127.0.0.1:9/v1"), "--llm needs --model"),
        (("--model", "tiny"), "--llm needs --model"),
        (("--budget", "1"), "--budget cannot be used without --llm"),
        (("--price-in", "2"), "--price-in cannot be used without --llm"),
        (("--questions", "2"), "--questions cannot be used without --model"),
        (("--cache", "answers"), "--cache cannot be used without --llm"),
        (("--llm", "http://h/v1", "--model", "m", "--seed", "1"), "--seed cannot be used with --model"),
        (("--judge-model", "m"), "--judge-model cannot be used without --judge"),
        (("--device", "cpu"), "--device cannot be used without --judge"),
        (("--judge", "ground-truth"), "expected llm, cross-encoder or a judge of a plugin"),
        (("--judge", "nobody"), "--judge nobody: expected ground-truth, llm, cross-encoder or a judge of a plugin"),
        (("--judge", "llm"), "--judge llm needs a model: name it with --judge-model"),
        (("--judge", "llm", "--judge-model", "m"), "--judge llm needs the address of an API"),
        (("--judge", "llm", "--judge-model", "m", "--device", "cpu"), "--device cannot be used with --judge llm"),
        (("--judge", "cross-encoder", "--judge-model", "m", "--llm", "http://h/v1"), "--llm needs --model"),
        (("--llm", "nowhere", "--model", "tiny"), "expected the address of an API"),
        (("--llm", "http://h/v1", "--model", "m", "--key-variable", "NO_SUCH_KEY"), "NO_SUCH_KEY"),
        (("--llm", "http://h/v1", "--model", "m", "--budget", "1"), "--price-in"),
        (("--out", "pairs.csv"), ".jsonl"),
    ],
)
def test_invalid_options_are_refused(cli, corpus, tmp_path, options, said):
    mistake(cli("synthesize", corpus, "--out", tmp_path / "pairs.jsonl", *options), said)
    assert not (tmp_path / "pairs.jsonl").exists()


def test_a_corpus_that_cannot_be_read_is_named(cli, tmp_path):
    mistake(cli("synthesize", tmp_path / "none", "--out", tmp_path / "a.jsonl"), tmp_path / "none")
    (tmp_path / "short.txt").write_text("Too short.", encoding="utf-8")
    mistake(
        cli("synthesize", tmp_path / "short.txt", "--out", tmp_path / "a.jsonl"), "no questions can be made from it"
    )


@pytest.fixture
def prepared(tmp_path, pairs_file):
    prepare(read_pairs(str(pairs_file)), tmp_path / "prepared")
    return tmp_path / "prepared"


def training(prepared, tmp_path, tiny_base, *options):
    return (
        *("train", prepared, "--domain", "legal", "--out", tmp_path / "model", "--base-model", tiny_base.path),
        *(*FEW, "--batch-size", 8, "--judge-depth", 1, *options),
    )


@pytest.mark.slow
def test_train_asks_a_language_model_and_reports_its_costs(cli, prepared, tmp_path, tiny_base, server):
    server.answer = shared_words
    options = ("--judge", "llm", "--judge-model", "tiny", "--llm", server.url, "--cache", tmp_path / "cache")
    status, said, err = cli(*training(prepared, tmp_path, tiny_base, *options, "--json"))
    assert status == 0, err
    report = json.loads(said)
    assert report["judge"].startswith("llm tiny")
    assert report["iterations"][1]["judged"]["judged"] == len(server.asked)
    assert f"judging took {len(server.asked)} requests" in err


class Strict:
    """A judge to whom everything is wrong."""

    identity = "strict"

    def grade(self, asked):
        return [[0] * len(documents) for _, documents in asked]


class Plugin:
    @hookimpl
    def relevance_judge(self, options):
        return Strict() if options.judge == "strict" else None


@pytest.mark.slow
def test_a_judge_of_a_plugin_is_chosen_by_name(cli, prepared, tmp_path, tiny_base):
    plugins().register(Plugin(), "strict-judge")
    try:
        status, said, err = cli(*training(prepared, tmp_path, tiny_base, "--judge", "strict", "--json"))
    finally:
        plugins()._manager.unregister(name="strict-judge")
    assert status == 0, err
    report = json.loads(said)
    assert (report["judge"], report["judge_depth"]) == ("strict", 1)
    assert report["iterations"][1]["judged"]["relevant"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--judge", "nobody"), "--judge nobody: expected ground-truth, llm, cross-encoder or a judge of a plugin"),
        (("--judge", "llm"), "--judge-model"),
        (("--judge", "llm", "--judge-model", "tiny"), "--llm"),
        (("--judge", "cross-encoder"), "--judge-model"),
        (("--judge-depth", 16), "15"),
        (("--judge-model", "tiny"), "--judge-model cannot be used with --judge ground-truth"),
        (("--llm", "http://h/v1"), "--llm cannot be used with --judge ground-truth"),
    ],
)
def test_an_invalid_judge_is_refused_before_anything_is_written(cli, prepared, tmp_path, tiny_base, options, said):
    mistake(cli(*training(prepared, tmp_path, tiny_base, *options)), said)
    assert not (tmp_path / ".model.run").exists()


def test_questions_without_answers_are_prepared(cli, pairs_file, tmp_path):
    (tmp_path / "asked.jsonl").write_text('{"text": "who pays for the broken lift"}\n', encoding="utf-8")
    options = ("--unlabelled", tmp_path / "asked.jsonl", "--json")
    status, said, _ = cli("prepare", pairs_file, "--out", tmp_path / "data", *options)
    assert status == 0
    assert json.loads(said)["counts"]["unlabelled"] == 1
    mistake(cli("prepare", pairs_file, "--out", tmp_path / "other", *options, "--split", "test"), "--unlabelled")
    mistake(cli("prepare", pairs_file, "--out", tmp_path / "other", *options, "--kind", "labels"), "--unlabelled")
