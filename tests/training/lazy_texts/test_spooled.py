"""Texts that are put aside: they come back as they were, in any order, and leave no file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from registry.errors import OutputError
from training.lazy_texts import spooled
from training.lazy_texts.spooled import SpooledTexts

TEXTS = ["plain", "", "line\nbreak, \r and \u2028", "Größe 信用卡 \U0001f600", "half a pair \ud83d"] * 100


@pytest.mark.parametrize("few", [1, 1000, spooled._FEW])
def test_texts_come_back_as_they_were_also_between_additions(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled, "_FEW", few)
    texts = SpooledTexts()
    for number, text in enumerate(TEXTS):
        texts.append(text)
        if number % 3:
            assert texts[number] == text and texts[number // 2] == TEXTS[number // 2]
    assert len(texts) > spooled._BLOCK
    assert list(texts) == TEXTS and list(texts[7::3]) == TEXTS[7::3]


def test_no_file_is_seen_or_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    texts = SpooledTexts()
    texts.append("text" * spooled._FEW)
    assert texts[0] == "text" * spooled._FEW
    assert texts._file._rolled and not list(tmp_path.iterdir())


def test_few_texts_need_no_folder_and_many_name_what_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    texts = SpooledTexts()
    texts.append("few")
    assert texts[0] == "few"
    with pytest.raises(OutputError, match="No such file or directory: set TMPDIR to a folder with free space"):
        texts.append("text" * spooled._FEW)
