"""Sources of texts for tests of corpora in shards, and work that loses its process."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np

from registry import BaseModelFiles
from training.corpora.encoding import ShardEncoder
from training.corpora.model_source import ModelSource
from training.corpora.records import EncodingIdentity, TextShard, VectorShard
from training.corpora.shard_folder import ShardFolder
from training.splitting.kept_arrays import Files
from training.splitting.prefix_join import Signed, SignPart, TextPart

WORDS = [
    "apple",
    "bridge",
    "castle",
    "desert",
    "engine",
    "forest",
    "garden",
    "hammer",
    "island",
    "jungle",
    "kitchen",
    "ladder",
    "mirror",
    "needle",
]


def write_source(path: Path, count: int = 50) -> str:
    """A JSONL file of texts of different lengths."""
    draw = np.random.default_rng(0)
    rows = [{"_id": f"d{row}", "text": " ".join(draw.choice(WORDS, 1 + row % 23))} for row in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def model_of(base: BaseModelFiles) -> ModelSource:
    """A base model as what encodes."""
    return ModelSource("tiny", base.path)


class Holder:
    """An actor that does nothing but hold cores."""

    def there(self) -> bool:
        """Answered when it has them."""
        return True


class Doubler:
    """Doubles numbers."""

    def __init__(self, device: str | None) -> None:
        self.device = device

    def __call__(self, number: int) -> int:
        return 2 * number


class LosesItsProcess:
    """Doubles numbers; the process is killed the first time that it gets the number 2, or each time."""

    def __init__(self, marker: Path | None, device: str | None) -> None:
        self.marker = marker

    def __call__(self, number: int) -> int:
        if number == 2:
            kill_process(self.marker)
        return 2 * number


class KilledEncoder(ShardEncoder):
    """Encodes shards; the process is killed once before shard 1, and once when the vectors of shard 2 are written."""

    def __init__(
        self, markers: Path, folder: ShardFolder, model: ModelSource, identity: EncodingIdentity, device: str | None
    ) -> None:
        super().__init__(folder, model, identity, device)
        self.markers = markers

    def __call__(self, shard: TextShard) -> tuple[bool, VectorShard]:
        if shard.number == 1:
            kill_process(self.markers / "before")
        found = super().__call__(shard)
        (self.markers / f"{shard.number}-{os.getpid()}-{found[0]}").touch()
        if shard.number == 2:
            kill_process(self.markers / "behind")
        return found


class KilledSigning(SignPart):
    """Finds shingles; the process is killed once when those of part 1 are kept."""

    def __init__(self, marker: Path, files: Files, counters: int, device: str | None) -> None:
        super().__init__(files, counters, device)
        self.marker = marker

    def __call__(self, part: TextPart) -> Signed:
        found = super().__call__(part)
        if part.number == 1:
            kill_process(self.marker)
        return found


def kill_process(marker: Path | None) -> None:
    """Kill this process as a lost machine does, once where a marker says so."""
    if marker is None or not marker.exists():
        if marker is not None:
            marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
