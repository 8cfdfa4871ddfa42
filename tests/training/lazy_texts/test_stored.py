"""Texts that stay in their file: what is read of it, by whom, and what happens when it changes."""

from __future__ import annotations

import json
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from training.errors import PreparedDataError
from training.lazy_texts import stored
from training.lazy_texts.stored import StoredTexts, read_texts

TEXTS = ["plain", "", 'a "quoted" \\ one', "line\nbreak, \r and \u2028", "Größe 信用卡 \U0001f600", "\x00\x7f"] * 50


def write(path: Path, texts: list[str], ascii_only: bool = False) -> Path:
    rows = [{"_id": f"d{number}", "title": "", "text": text} for number, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows), encoding="utf-8")
    return path


def texts_of(path: Path) -> StoredTexts:
    return read_texts(path)[1]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_text_is_read_as_it_was_written(tmp_path: Path, ascii_only: bool) -> None:
    ids, texts = read_texts(write(tmp_path / "corpus.jsonl", TEXTS, ascii_only))
    assert ids == [f"d{number}" for number in range(len(TEXTS))]
    assert len(texts) > stored._ROWS
    assert list(texts) == TEXTS == [texts[place] for place in range(len(texts))]
    assert list(texts[4::7]) == TEXTS[4::7]


def test_a_file_without_an_end_of_line_or_without_rows_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "corpus.jsonl", ["one", "two"])
    path.write_bytes(path.read_bytes().rstrip())
    assert texts_of(path) == ["one", "two"]
    path.write_bytes(b"")
    assert list(texts_of(path)) == []


def test_several_threads_read_at_once(tmp_path: Path) -> None:
    texts = texts_of(write(tmp_path / "corpus.jsonl", TEXTS))
    together = threading.Barrier(4)

    def read(first: int) -> list[str]:
        together.wait()
        return [texts[(first + step) % len(texts)] for step in range(len(texts))]

    with ThreadPoolExecutor(4) as threads:
        for first, found in enumerate(threads.map(read, range(4))):
            assert found == [*TEXTS[first:], *TEXTS[:first]]


def test_texts_stay_the_same_when_another_file_takes_the_name(tmp_path: Path) -> None:
    texts = texts_of(write(tmp_path / "corpus.jsonl", ["one", "two"]))
    write(tmp_path / "other.jsonl", ["three", "four"]).replace(tmp_path / "corpus.jsonl")
    assert list(texts) == ["one", "two"]


def test_a_file_that_is_overwritten_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "corpus.jsonl", ["one", "two"])
    os.utime(path, (1, 1))
    for content in (b"", path.read_bytes().replace(b"one", b"six")):
        texts = texts_of(write(path, ["one", "two"]))
        assert texts[1] == "two"
        path.write_bytes(content)
        os.utime(path, (2, 2))
        with pytest.raises(PreparedDataError, match=r"corpus.jsonl: was changed while it was used: prepare it again"):
            texts[1]


def test_another_process_finds_the_same_texts_or_says_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(Path("corpus.jsonl"), TEXTS)
    sent = pickle.dumps(texts_of(path))
    monkeypatch.chdir(tmp_path.parent)
    assert len(sent) < 8 * len(TEXTS) + 1000
    assert pickle.loads(sent) == TEXTS  # noqa: S301
    write(tmp_path / "corpus.jsonl", TEXTS[1:])
    with pytest.raises(PreparedDataError, match=r"corpus.jsonl: was changed"):
        pickle.loads(sent)  # noqa: S301
    (tmp_path / "corpus.jsonl").unlink()
    with pytest.raises(PreparedDataError, match=r"corpus.jsonl: cannot be read .*under the same path"):
        pickle.loads(sent)  # noqa: S301
