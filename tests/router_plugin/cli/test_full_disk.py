"""A disk that is full, and outputs that cannot be, end a training command with one line and exit status 2."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from registry import BaseModelFiles
from training import prepare, read_pairs


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to let a file grow further, as it does on a full disk, to whatever library writes it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def prepared(tmp_path: Path, pairs_file: Path) -> Path:
    prepare(read_pairs(pairs_file), tmp_path / "prepared")
    return tmp_path / "prepared"


def one_line(result: tuple[int, str, str], *said: str) -> None:
    status, _, err = result
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert status == 2 and len(lines) == 1 and "Traceback" not in err, err
    for part in said:
        assert part in lines[0]


def test_prepare_on_a_full_disk(cli: Any, tmp_path: Path, pairs_file: Path) -> None:
    with files_of_at_most(2000):
        one_line(
            cli("prepare", pairs_file, "--out", tmp_path / "out"), f"{tmp_path}/out: cannot be written", "free space"
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 300, 2000, 20_000, 200_000])
def test_train_on_a_full_disk(cli: Any, tmp_path: Path, prepared: Path, tiny_base: BaseModelFiles, size: int) -> None:
    """Wherever the space ends: at the run's first file, at embeddings, rankings, weights."""
    few = ("--iterations", 1, "--min-steps", 1, "--max-epochs", 1, "--mix-ratio", 0, "--device", "cpu")
    arguments = ("train", prepared, "--domain", "x", "--base-model", tiny_base.path, "--out", tmp_path / "model", *few)
    with files_of_at_most(size):
        one_line(cli(*arguments), "cannot be written")
    assert not (tmp_path / "model").exists()
    status, _, err = cli(*arguments)
    assert status == 0, err


@pytest.mark.parametrize("option", [(), ("--overwrite",)])
def test_an_output_that_is_a_file_is_refused_as_one(
    cli: Any, tmp_path: Path, pairs_file: Path, prepared: Path, tiny_base: BaseModelFiles, option: tuple[str, ...]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    train = ("train", prepared, "--domain", "x", "--base-model", tiny_base.path, *option)
    one_line(cli("prepare", pairs_file, "--out", file, *option), "is a file: expected a folder")
    one_line(cli(*train, "--out", file), "is a file: expected a folder")
    one_line(cli("prepare", pairs_file, "--out", file / "below", *option), f"{file}")
    one_line(cli(*train, "--out", file / "below"), f"{file}")
    assert file.read_text() == "mine"


def test_a_base_model_that_is_a_file_is_refused_as_one(cli: Any, tmp_path: Path, prepared: Path) -> None:
    (tmp_path / "weights.bin").write_text("x")
    arguments = ("train", prepared, "--domain", "x", "--out", tmp_path / "model")
    one_line(cli(*arguments, "--base-model", tmp_path / "weights.bin"), "is a file: expected the folder of a Sentence")
