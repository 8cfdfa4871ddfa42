"""Checkpoints of a fine-tuning on disk: tensors as safetensors and numbers as JSON, with the digest of each file.

They appear atomically, and are read only while they hold what was written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.shared.digests import sha256_of
from registry.shared.outputs import remove, staged_folder

if TYPE_CHECKING:
    from torch import Tensor

INTERVAL = 60.0
"""Seconds of training between two checkpoints that are quickly written."""
_QUICKLY = 3.0
"""Seconds: what takes longer is written less often, so that it never costs more than a twentieth of the time."""
_FORMAT = 1
_RECORD = "checkpoint.json"
_TENSORS = "tensors.safetensors"
_NUMBERS = "numbers.json"
_PREFIX = "step-"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk.

    Attributes:
        folder: where it is.
        finished: whether training had ended.
        sha256: of its files, by name.
    """

    folder: Path
    finished: bool
    sha256: dict[str, str]

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name, on the CPU."""
        from safetensors.torch import load_file

        return load_file(self.folder / _TENSORS)

    def numbers(self) -> dict[str, Any]:
        """Everything else."""
        numbers: dict[str, Any] = json.loads((self.folder / _NUMBERS).read_text(encoding="utf-8"))
        return numbers


def pause(cost: float) -> float:
    """Seconds of training until the next checkpoint, after one that took ``cost`` seconds to write."""
    return INTERVAL * max(1.0, cost / _QUICKLY)


@contextmanager
def new_checkpoint(
    parent: Path, step: int, finished: bool, tensors: dict[str, Tensor], numbers: dict[str, Any]
) -> Iterator[Path]:
    """Write a checkpoint, to whose folder the block may add files; only the newest of the earlier ones is kept.

    Args:
        parent: the folder of all checkpoints of a fine-tuning.
        step: steps so far.
        finished: whether training has ended.
        tensors: by name.
        numbers: what else there is, as JSON.

    Raises:
        OutputError: it cannot be written.
    """
    from safetensors.torch import save_file

    for earlier in _newest_first(parent)[1:]:
        remove(earlier)
    with staged_folder(parent / f"{_PREFIX}{step}", overwrite=True) as folder:
        save_file(tensors, folder / _TENSORS)
        (folder / _NUMBERS).write_text(json.dumps(numbers), encoding="utf-8")
        yield folder
        digests = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        record = {"format": _FORMAT, "finished": finished, "sha256": digests}
        (folder / _RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")


def newest_checkpoint(parent: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; None if there is none."""
    return next((found for folder in _newest_first(parent) if (found := _intact(folder))), None)


def remove_checkpoints(parent: Path, but: Checkpoint | None = None) -> None:
    """Remove the checkpoints of a fine-tuning, perhaps all but one."""
    for folder in _newest_first(parent):
        if but is None or folder != but.folder:
            remove(folder)
    with suppress(OSError):
        parent.rmdir()


def _newest_first(parent: Path) -> list[Path]:
    steps = {path: path.name.removeprefix(_PREFIX) for path in parent.glob(f"{_PREFIX}*")}
    named = [path for path, step in steps.items() if step.isascii() and step.isdigit()]
    return sorted(named, key=lambda path: int(steps[path]), reverse=True)


def _intact(folder: Path) -> Checkpoint | None:
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        digests = {name: sha256_of(folder / name) for name in record["sha256"]}
        if record["format"] == _FORMAT and digests == record["sha256"]:
            return Checkpoint(folder, record["finished"], digests)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # missing, or damaged by a crash
        pass
    return None
