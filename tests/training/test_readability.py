"""Training on a language that the base model does not read: a warning, or an end before work begins."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from registry import BaseModelFiles
from registry.model_folders.loading import load_sentence_transformer
from tests.training.samples import QUICK
from training import Contrastive, PreparedData, TrainingError, TrainingJob, adapt, prepare, read_pairs, read_prepared
from training.readability import check_readable

THAI = "".join(map(chr, range(0x0E01, 0x0E2F)))


def data(folder: Path, questions: list[str], answers: list[str]) -> PreparedData:
    source = folder / "pairs.jsonl"
    rows = [{"question": q, "answer": a} for q, a in zip(questions, answers, strict=True)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare(read_pairs(source), folder / "data")
    return read_prepared(folder / "data")


def english(count: int) -> list[str]:
    return [f"the {number} landlord has to mend boiler {number * 7}" for number in range(count)]


def thai(count: int) -> list[str]:
    return [f"{''.join(random.Random(number).sample(THAI, 20))} {number}" for number in range(count)]


@pytest.mark.slow
def test_data_that_the_model_cannot_read_stop_training_before_it_begins(
    tmp_path: Path, tiny_base: BaseModelFiles
) -> None:
    job: dict[str, Any] = {"domain": "thai", "base": tiny_base, "recipe": QUICK, "device": "cpu"}
    prepared = data(tmp_path, thai(40), english(40))
    with pytest.raises(
        TrainingError, match=r"cannot read 9\d% of the words of the queries.*`allow_unreadable`"
    ) as error:
        adapt(TrainingJob(prepared, **job), tmp_path / "model")
    assert any(letter in str(error.value) for letter in THAI)
    adapt(TrainingJob(prepared, **job, allow_unreadable=True), tmp_path / "model")
    assert (tmp_path / "model" / "report.json").is_file()


@pytest.mark.parametrize("part", ["queries", "documents"])
def test_a_part_that_cannot_be_read_is_told_with_an_example(
    tmp_path: Path, tiny_base: BaseModelFiles, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    mixed = [*english(50)[:30], *thai(10), *english(60)[50:]]
    texts = (mixed, english(50)) if part == "queries" else (english(50), mixed)
    model = load_sentence_transformer(tiny_base.path, device="cpu")
    check_readable(model, "tiny", {"tickets": data(tmp_path, *texts)})
    (record,) = caplog.records
    assert "base model tiny cannot read" in record.message
    assert f"of the {part} of the set tickets" in record.message
    assert any(letter in record.message for letter in THAI)


def test_data_that_the_model_reads_are_not_talked_of(
    tmp_path: Path, tiny_base: BaseModelFiles, caplog: pytest.LogCaptureFixture
) -> None:
    model = load_sentence_transformer(tiny_base.path, device="cpu")
    questions = [*english(39), "caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{THUMBS UP SIGN} \u201cquoted\u201d"]
    check_readable(model, "tiny", {"": data(tmp_path, questions, english(40))})
    assert caplog.records == []


def test_the_option_changes_nothing_that_is_trained(tmp_path: Path, tiny_base: BaseModelFiles) -> None:
    prepared = data(tmp_path, english(40), english(40))
    jobs = [
        TrainingJob(prepared, "x", tiny_base, Contrastive(), device="cpu", allow_unreadable=allowed)
        for allowed in (False, True)
    ]
    assert jobs[0].identity() == jobs[1].identity()
