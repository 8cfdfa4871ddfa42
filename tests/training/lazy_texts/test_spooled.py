"""Texts that are put aside: they come back as they were, in any order, and leave no file."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from registry.errors import OutputError
from training.lazy_texts import spooled
from training.lazy_texts.spooled import SpooledTexts

TEXTS = ["plain", "", "line\nbreak, \r and \u2028", "Größe 信用卡 \U0001f600", "half a pair \ud83d"] * 100


def test_texts_come_back_as_they_were_also_between_additions() -> None:
    texts = SpooledTexts()
    for number, text in enumerate(TEXTS):
        texts.append(text)
        assert texts[number] == text and texts[number // 2] == TEXTS[number // 2]
    assert len(texts) > spooled._BLOCK
    assert list(texts) == TEXTS and list(texts[7::3]) == TEXTS[7::3]


def test_no_file_is_seen_or_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    texts = SpooledTexts()
    texts.append("text" * 1000)
    assert texts[0] == "text" * 1000
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, content: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(OutputError, match=f"{tmp_path}: cannot be written: No space left on device"):
        SpooledTexts().append("text")
