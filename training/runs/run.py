"""The working folder of a training run: finished steps are kept, so that a killed run resumes."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from registry import BaseModelFiles
from registry.model_folders.adapters import has_adapter, save_adapter
from registry.shared.outputs import make_folder, staged_folder, write_atomically
from training.errors import TrainingError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_IDENTITY = "run.json"
_SECONDS = "seconds.json"
_LOCK = "lock"


class Run:
    """Steps by name, each with a small JSON result and perhaps a model, in a hidden folder next to the output.

    While it is open, no other process can open the run of the same output.
    """

    def __init__(self, out: Path, identity: dict[str, Any]) -> None:
        """Open the run of ``out``.

        Args:
            out: the model folder to be written.
            identity: everything that decides the result; a run with another identity starts from scratch.

        Raises:
            TrainingError: another process has it open.
        """
        self.folder = out.absolute().parent / f".{out.name}.run"
        make_folder(self.folder)
        self._lock = FileLock(self.folder / _LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise TrainingError(f"{out}: another run is writing it: wait for that, or choose another folder") from error
        try:
            self._begin(identity)
        except BaseException:
            self._lock.release()
            raise

    def _begin(self, identity: dict[str, Any]) -> None:
        """Go on with the run that is there, or begin a new one."""
        known = _read(self.folder / _IDENTITY)
        self.resumed = known == json.loads(json.dumps(identity))
        if not self.resumed:
            self._clear()
            _write(self.folder / _IDENTITY, identity)
        taken = _read(self.folder / _SECONDS) or {"seconds": 0.0}
        self._opened: float = time.monotonic() - taken["seconds"]

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def step(self, name: str, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The step's result: read back if it has finished before, else computed now."""
        path = self.folder / f"{name}.json"
        result = _read(path)
        if result is None:
            result = do()
            _write(path, result)
            _write(self.folder / _SECONDS, {"seconds": self.seconds})
        return result

    def finished(self, name: str) -> dict[str, Any]:
        """The result of a step that has finished.

        Raises:
            TrainingError: it has not.
        """
        result = _read(self.folder / f"{name}.json")
        if result is None:
            raise TrainingError(f"{self.folder}: no result of {name}: remove the folder, and train again")
        return result

    @property
    def seconds(self) -> float:
        """Time spent so far, that of killed processes included up to the last step that they finished."""
        return time.monotonic() - self._opened

    def save_model(self, name: str, model: SentenceTransformer, base: BaseModelFiles) -> None:
        """Keep a model, or the adapter that it has on the base model; it appears atomically."""
        with staged_folder(self.model_folder(name), overwrite=True) as folder:
            save_model(model, folder, base)

    def model_folder(self, name: str) -> Path:
        """Where a kept model is."""
        return self.folder / name

    @property
    def result(self) -> Path:
        """Where the model folder is written before it is moved into place."""
        return self.folder / "result"

    @property
    def scratch(self) -> Path:
        """A folder for temporary files."""
        return self.folder / "scratch"

    def checkpoints(self, name: str) -> Path:
        """Where the checkpoints of a fine-tuning are kept."""
        return self.folder / "checkpoints" / name

    def embeddings(self, name: str) -> Path:
        """Where the embeddings of a model state are kept."""
        return self.folder / "embeddings" / name

    def remove(self) -> None:
        """Delete the run."""
        self._delete_identity()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _delete_identity(self) -> None:
        """Delete the run's identity first, so that a partly deleted run is never resumed."""
        (self.folder / _IDENTITY).unlink(missing_ok=True)

    def _clear(self) -> None:
        self._delete_identity()
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _LOCK:
                path.unlink()


def save_model(model: SentenceTransformer, folder: Path, base: BaseModelFiles) -> None:
    """Write a model, or the adapter that it has on the base model, into a folder that others may read."""
    if has_adapter(model):
        save_adapter(model, folder, base)
    else:
        model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
    for weights in folder.rglob("*.safetensors"):  # safetensors lets only the owner read them
        weights.chmod(0o644)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing, or truncated by a crash
        return None
    return value


def _write(path: Path, value: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(value, indent=2))
