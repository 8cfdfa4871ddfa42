"""Runs a variant of a model on OpenVINO or ONNX Runtime, texts to unit vectors, without torch.

sentence-transformers has such backends, too, but pools with torch. Here the graph includes pooling and normalisation,
so that a serving machine needs no torch.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from registry.errors import VariantError
from registry.model_folders.input_config import Kind
from registry.model_folders.tokenizer import QueryReader, by_length, features, shared_tokens
from registry.model_folders.variants import GRAPHS, TOKENIZER, is_installed, read_variant, runtime

if TYPE_CHECKING:
    from types import ModuleType

Graph = Callable[[dict[str, NDArray[np.int64]]], NDArray[np.float32]]
BATCH = 8


class CompiledModel:
    """A variant of a model. Safe to use from several threads."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        """
        Args:
            folder: of the variant.
            threads: by default as many as ``OMP_NUM_THREADS`` says, as for torch, else the runtime's choice.

        Raises:
            VariantError: the variant is damaged, or its runtime is not installed.
        """
        self.record = read_variant(folder)
        if not is_installed(self.record.backend):
            name = runtime(self.record.backend)
            raise VariantError(f"variant {folder} needs the {name} runtime: pip install 'domain-router[{name}]'")
        try:
            self.tokens = shared_tokens((folder / TOKENIZER).read_text(encoding="utf-8"), self.record.max_length)
            self.reader = QueryReader(self.tokens, self.record.prompts["query"])
            self._graph = _open(folder, self.record.backend, threads or _threads())
        except Exception as error:  # tokenizers and onnxruntime raise no narrower class
            raise VariantError(f"{folder} cannot be run: {error}") from error
        self.dimension = self.record.dimension
        self.runtime = self.record.backend
        self.nbytes = sum(path.stat().st_size for path in folder.iterdir())

    def encode(self, texts: Sequence[str], kind: Kind = "query", batch_size: int = BATCH) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``; texts of similar length are batched."""
        prompt = self.record.prompts[kind]
        rows = [self.tokens.read(prompt + text, len(prompt)).ids for text in texts]
        vectors = np.empty((len(rows), self.dimension), dtype=np.float32)
        for batch in by_length(rows, batch_size):
            fed = features([rows[index] for index in batch], self.record.pad, self.record.inputs)
            vectors[batch] = self._graph(fed)
        return vectors

    def truncates(self, text: str) -> bool:
        """Whether a query with its prompt has more tokens than the model reads."""
        return self.reader.read(text).truncated

    def unread(self, text: str) -> float:
        """The fraction of a query's words that the model does not know."""
        return self.reader.read(text).unread

    def key(self, text: str) -> tuple[int, ...]:
        """The tokens of a query."""
        return self.reader.read(text).ids


def import_openvino() -> ModuleType:
    """OpenVINO without its telemetry, which sends usage data; OpenVINO runs without that package."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime without its telemetry, which would send usage data and leave files in the user's home folder."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return importlib.import_module("onnxruntime")


def _threads() -> int | None:
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(given) if given.isdecimal() and int(given) else None


def _open(folder: Path, backend: str, threads: int | None) -> Graph:
    path = folder / GRAPHS[runtime(backend)]
    return _openvino(path, threads) if runtime(backend) == "openvino" else _onnx(path, threads)


def _openvino(path: Path, threads: int | None) -> Graph:
    openvino = import_openvino()
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino.compile_model(path, "CPU", options)
    local = threading.local()  # an inference request is not thread-safe

    def run(inputs: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        answer: NDArray[np.float32] = local.request.infer(inputs)[0]
        return answer

    return run


def _onnx(path: Path, threads: int | None) -> Graph:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    if threads:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(inputs: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = session.run(None, inputs)[0]
        return answer

    return run
