"""Progress bars: they show what is done as it is written, for every step that takes long, and nothing of short ones."""

import io
import time

import pytest
from rich.console import Console

import registry.progress
from registry.progress import LARGE, byte_bar
from tests.training.samples import QUICK, prepared, word_pairs
from training import ReferenceTriplet, TrainingJob, adapt
from training.runs import progress

RANKED = {
    "encoding train queries (base)",
    "encoding documents (base)",
    "ranking documents",
    "scoring relevant documents",
}
NEAR = {"finding near-duplicates"}
MEASURED = {
    "encoding dev queries (iteration-1)",
    "trying interpolation weights on guards",
    "choosing the interpolation weight",
    "ranking by BM25",
}
NEGATIVES = {"collecting answers", "selecting negatives", "drawing examples", "filling batches"}
TRIPLETS = {"leaving out near-duplicates of queries", "selecting triplets"}


@pytest.fixture
def terminal(monkeypatch):
    """What is written to a terminal on which bars appear at once."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr("registry.progress._console", lambda: console)
    monkeypatch.setattr("registry.progress.DELAY", 0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    return written


def wait_for(terminal, text):
    end = time.monotonic() + 20
    while text not in terminal.getvalue():
        assert time.monotonic() < end, terminal.getvalue()
        time.sleep(0.01)


def test_a_description_is_no_markup(terminal):
    for _ in progress.track("ab", "encoding [red]cards[/] of [/home]"):
        wait_for(terminal, "encoding [red]cards[/] of [/home]")


def test_work_that_is_done_soon_shows_nothing(terminal, monkeypatch):
    monkeypatch.setattr("registry.progress.DELAY", 60)
    assert list(progress.track("ab", "encoding")) == ["a", "b"]
    assert terminal.getvalue() == ""


def test_a_bar_within_another_is_shown_too_and_both_end(terminal):
    with progress.bar("fine-tuning", 2) as advance:
        wait_for(terminal, "fine-tuning")
        for _ in progress.track("ab", "collecting answers"):
            wait_for(terminal, "collecting answers")
        advance(2)
    assert "2/2" in terminal.getvalue() and terminal.getvalue().endswith("\x1b[?25h")


def test_a_bar_of_few_bytes_and_a_bar_on_a_pipe_write_nothing(terminal, monkeypatch, capsys):
    for at_terminal, size in ((True, LARGE - 1), (False, LARGE)):
        monkeypatch.setattr("sys.stderr.isatty", lambda answer=at_terminal: answer)
        with byte_bar("copying", size) as advance:
            advance(size)
    assert terminal.getvalue() == "" and capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with byte_bar("copying", LARGE) as advance:
        advance(LARGE)
        wait_for(terminal, "200.0/200.0 MB")
    assert "copying" in terminal.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "steps"),
    [
        (QUICK, RANKED | NEAR | NEGATIVES | MEASURED),
        (ReferenceTriplet(iterations=1, learning_rate=1e-3), RANKED | NEAR | TRIPLETS),
    ],
    ids=["contrastive", "triplet"],
)
def test_every_step_of_an_iteration_that_grows_with_the_data_has_a_bar(recipe, steps, tmp_path, tiny_base, monkeypatch):
    shown, bar = [], registry.progress.bar

    def noted(what, *arguments, **options):
        shown.append(what)
        return bar(what, *arguments, **options)

    monkeypatch.setattr("registry.progress.bar", noted)
    data = prepared(word_pairs(), tmp_path / "data", test_size=0.3)
    adapt(TrainingJob(data, "words", tiny_base, recipe, device="cpu"), tmp_path / "out")
    assert steps <= set(shown)
