"""``synthesize --judge``: only pairs that a judge finds good are kept, and trained on; nothing is paid for twice."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tenacity import wait_fixed

from router_plugin.hookspecs import hookimpl
from router_plugin.plugins.manager import plugins
from tests.conftest import ROOT
from tests.router_plugin.cli.test_cli import FEW, mistake
from tests.training.judges.samples import save_cross_encoder
from tests.training.llm.chat_server import KEY, chat_server, said, shared_words
from tests.training.samples import KEYS, word_pairs
from training import TrainingError, synthesize

COUNT = 30
"""Documents; every one gives a good and a bad question."""
PROMPTS = 3 * COUNT


@pytest.fixture
def corpus(tmp_path):
    """A folder of documents of one passage, in files of several kinds."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    texts = [pair.answer for pair in word_pairs()[:COUNT]]
    for number, text in enumerate(texts[:20]):
        (folder / f"{number}.{'md' if number % 2 else 'txt'}").write_text(f"{text}.", encoding="utf-8")
    rows = [json.dumps({"text": f"{text}."}) + "\n" for text in texts[20:]]
    (folder / "rest.jsonl").write_text("".join(rows), encoding="utf-8")
    return folder


def ask_or_judge(body):
    """Two questions, of which the second has nothing to do with the passage; or grades."""
    if "<query>" in said(body):
        return shared_words(body)
    keys = [word for word in said(body).partition("<passage>")[2].split() if word in KEYS]
    return {"questions": [f"what about {' and '.join(keys)}", f"where is the station near {keys[0]}"]}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("MODEL_KEY", KEY)
    monkeypatch.setattr("training.llm.retries.BACKOFF", wait_fixed(0.001))
    with chat_server(ask_or_judge) as running:
        yield running


@pytest.fixture
def out(tmp_path):
    return tmp_path / "pairs.jsonl"


def options(server, tmp_path, concurrency=4):
    return (
        *("--llm", server.url, "--model", "asks", "--judge", "llm", "--judge-model", "grades"),
        *("--key-variable", "MODEL_KEY", "--cache", tmp_path / "cache", "--concurrency", concurrency),
    )


def rows(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_a_folder_of_documents_becomes_a_model_in_spite_of_faults(cli, corpus, out, tmp_path, server, tiny_base):
    faults = ["429", "bad JSON", "drop", "503", "cut off"]  # too few for any prompt to be given up
    while_judging = [*faults]
    server.faults = [*faults]

    def answer(body):
        if "<query>" in said(body) and while_judging:
            server.faults, while_judging[:] = [*while_judging], []
        return ask_or_judge(body)

    server.answer = answer
    status, printed, err = cli("synthesize", corpus, "--out", out, *options(server, tmp_path), "--json")
    assert status == 0, err
    found = json.loads(printed)
    assert (found["passages"], found["pairs"], found["left_out"]) == (COUNT, COUNT, COUNT)
    assert found["left_out_by_grade"] == {"1": COUNT}
    assert [each["grade"] for each in found["left_out_examples"]] == [1, 1, 1]
    assert "station" in found["left_out_examples"][0]["question"]
    assert found["judge"].startswith(f"llm grades at {server.url}")
    assert len(server.asked) == PROMPTS + 2 * len(faults)
    assert KEY not in printed + err
    assert {row["grade"] for row in rows(out)} == {2}
    assert not any("station" in row["question"] for row in rows(out))
    assert cli("prepare", out, "--out", tmp_path / "data")[0] == 0
    training = ("train", tmp_path / "data", "--domain", "manuals", "--out", tmp_path / "model", *FEW, "--json")
    status, printed, err = cli(*training, "--base-model", tiny_base.path)
    assert status == 0, err
    assert json.loads(printed)["iterations"][1]["steps"] > 0
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_output_says_how_many_pairs_were_left_out_and_a_rerun_asks_nothing(cli, corpus, out, tmp_path, server):
    status, printed, _ = cli("synthesize", corpus, "--out", out, *options(server, tmp_path))
    assert status == 0
    assert f"{COUNT} pairs ({COUNT} llm) of {COUNT} passages in {COUNT} documents" in printed
    assert f"the judge left out {COUNT} of {2 * COUNT} pairs (grade 1: {COUNT})" in printed
    assert f"{PROMPTS} requests, {PROMPTS}00 input tokens, {PROMPTS}0 output tokens" in printed
    first = out.read_bytes()
    status, printed, _ = cli("synthesize", corpus, "--out", out, *options(server, tmp_path), "--overwrite")
    assert "0 requests, 0 input tokens" in printed
    assert out.read_bytes() == first
    assert len(server.asked) == PROMPTS


def test_a_killed_command_sends_only_missing_requests_when_it_is_started_again(cli, corpus, out, tmp_path, server):
    server.delay = 0.01
    command = ("synthesize", corpus, "--out", out, *options(server, tmp_path, 2))
    killed_at = COUNT + 20
    code = "from router_plugin.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, command)], cwd=ROOT, env=dict(os.environ))
    try:
        until = time.monotonic() + 60
        while len(server.asked) < killed_at and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert killed_at <= len(server.asked) < PROMPTS
    assert not out.exists()
    status, _, err = cli(*command)
    assert status == 0, err
    prompts = [said(body) for body in server.asked]
    assert len(set(prompts)) == PROMPTS
    assert len(prompts) - PROMPTS <= 2  # those that were open
    assert len(rows(out)) == COUNT


def test_asking_and_judging_spend_one_budget(cli, corpus, out, tmp_path, server):
    prices = ("--price-out", 1, "--budget", (10 * (COUNT + 9) + 1024) / 1e6)
    ended = cli("synthesize", corpus, "--out", out, *options(server, tmp_path, 1), *prices)
    mistake(ended, "is used up", f"{COUNT + 10} requests", "run the same command again")
    assert not out.exists()
    assert cli("synthesize", corpus, "--out", out, *options(server, tmp_path, 1))[0] == 0
    assert len(server.asked) == PROMPTS


def test_a_language_model_judges_questions_made_without_one(cli, corpus, out, tmp_path, server):
    judging = ("--judge", "llm", "--judge-model", "grades", "--llm", server.url, "--cache", tmp_path / "cache")
    status, printed, err = cli("synthesize", corpus, "--out", out, *judging, "--json")
    assert status == 0, err
    found = json.loads(printed)
    assert found["requests"] == len(server.asked) == found["pairs"] + found["left_out"]
    assert all("<query>" in said(body) for body in server.asked)
    assert {row["kind"] for row in rows(out)} <= {"title", "sentence", "keywords"}


def test_a_cross_encoder_judges(cli, corpus, out, tmp_path, real_base):
    folder = save_cross_encoder(tmp_path / "cross", real_base)
    judging = ("--judge", "cross-encoder", "--judge-model", folder, "--device", "cpu")
    status, printed, err = cli("synthesize", corpus, "--out", out, *judging, "--json")
    assert status == 0, err
    found = json.loads(printed)
    assert found["judge"].startswith(f"cross-encoder {folder}, weights ")
    assert found["pairs"] > 0 and found["left_out"] > 0
    assert "requests" not in found
    assert {row["grade"] for row in rows(out)} <= {2, 3}


class Undecided:
    """A judge that knows the grade of every second pair only."""

    identity = "undecided"

    def grade(self, asked):
        return [[3 if number % 2 else None] for number in range(len(asked))]

    def spent(self):
        return "judging took an afternoon"


class Plugin:
    @hookimpl
    def relevance_judge(self, options):
        return Undecided() if options.judge == "undecided" else None


def test_a_plugin_may_judge_and_what_it_cannot_decide_is_left_out(cli, corpus, out):
    plugins().register(Plugin(), "undecided-judge")
    try:
        status, printed, err = cli("synthesize", corpus, "--out", out, "--judge", "undecided")
    finally:
        plugins()._manager.unregister(name="undecided-judge")
    assert (status, err) == (0, "judging took an afternoon\n")
    kept = rows(out)
    assert {row["grade"] for row in kept} == {3}
    assert f"the judge left out {len(kept)} of {2 * len(kept)} pairs (grade unknown: {len(kept)})" in printed


class Always(Undecided):
    """Gives the same for everything."""

    def __init__(self, grades):
        self.grades = grades

    def grade(self, asked):
        return [self.grades for _ in asked]


def test_nothing_is_written_if_no_pair_is_kept_or_the_judge_gives_no_grades(corpus):
    with pytest.raises(TrainingError, match=r"the judge gave none of \d+ pairs a grade of at least 2"):
        synthesize(corpus, judge=Always([0]))
    for invalid in ([7], [], [3, 3]):
        with pytest.raises(TrainingError, match="judge undecided: expected a grade from 0 to 3"):
            synthesize(corpus, judge=Always(invalid))
