"""Exports a SentenceTransformer to another runtime: transformer, pooling and normalisation in one graph.

The export functions of sentence-transformers export the transformer only, and leave pooling and normalisation to torch.
"""

from __future__ import annotations

import copy
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from registry.errors import VariantError
from registry.model_folders.adapters import transformer
from registry.model_folders.compiled import CompiledModel, import_onnxruntime, import_openvino
from registry.model_folders.input_config import InputConfig, Kind
from registry.model_folders.tokenizer import features, shared_tokens
from registry.model_folders.variants import GRAPHS, RECORD, TOKENIZER, Backend, VariantRecord, runtime
from registry.shared.wording import first_line

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PROBES = ("what is it?", "Why does the second question, which is a longer one by far, count as well? " * 40)
TOLERANCE = 5e-3
"""Maximum difference in one dimension between the unit vectors of a model and its variant in full precision."""
CALIBRATION_TEXTS = 300
_MAX_TEXTS, _MAX_TOKENS = 4096, 32_768
_ATTENTION = ("sdpa", "eager")
"""In order of preference: the first is faster, but on other runtimes gives NaN where a token sees only padding."""


def export(model: SentenceTransformer, folder: Path, backend: Backend, texts: Sequence[str] = ()) -> VariantRecord:
    """Write a variant of a model into an empty folder.

    Args:
        model: with or without an adapter; it is not changed.
        folder: of the variant.
        backend: runtime and precision.
        texts: calibration data of an int8 variant for OpenVINO.

    Raises:
        VariantError: this kind of model cannot be exported, or a package that exporting needs is missing.
    """
    merged = _merged(model)
    graph, example, inputs = _Graph(merged), _example(merged), InputConfig.of(merged)
    tokenizer = merged.tokenizer.backend_tokenizer.to_str()
    record = VariantRecord(
        backend=backend,
        inputs=list(example),
        prompts={"query": inputs.prompt("query"), "document": inputs.prompt("document")},
        max_length=inputs.max_length,
        pad=merged.tokenizer.pad_token_id or 0,
        dimension=merged.get_embedding_dimension() or 0,
    )
    (folder / TOKENIZER).write_text(tokenizer, encoding="utf-8")
    (folder / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for attention in _ATTENTION:
        try:
            transformer(merged).set_attn_implementation(attention)
            with _quietly(), torch.inference_mode():
                _write(graph, example, folder, record, texts)
        except ImportError as error:
            raise VariantError(f"a variant for {backend} needs {error.name}: pip install {error.name}") from error
        except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:  # raised by converters
            raise VariantError(f"the model cannot be exported for {backend}: {first_line(error)}") from error
        difference = _difference(merged, folder)
        if difference <= (np.inf if backend.endswith("int8") else TOLERANCE):  # False for NaN
            return record
    raise VariantError(f"the model cannot be exported for {backend}: its vectors differ by {difference:.2g}")


class _Graph(nn.Module):
    """A whole SentenceTransformer with plain inputs and output."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> Tensor:
        answer = self.model.forward(dict(zip(_INPUTS, inputs, strict=False)))
        return nn.functional.normalize(answer["sentence_embedding"], dim=-1)


_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def _merged(model: SentenceTransformer) -> SentenceTransformer:
    """A copy on the CPU with its adapter merged into its weights, if this kind of model can be exported."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from sentence_transformers.base.modules import Transformer

    first: Any = model[0]
    tokenizer = getattr(first, "tokenizer", None) if isinstance(first, Transformer) else None
    if tokenizer is None or not getattr(tokenizer, "is_fast", False):
        raise VariantError("the model cannot be exported: it does not begin with one transformer with a fast tokenizer")
    merged: SentenceTransformer = copy.deepcopy(model).to("cpu").float().eval()
    InputConfig.of(merged).apply(merged)
    for module in merged.modules():
        if isinstance(module, BaseTunerLayer):
            module.merge()
    return merged


def _example(model: SentenceTransformer) -> dict[str, Tensor]:
    made = model.preprocess(list(PROBES))
    return {name: made[name] for name in _INPUTS if isinstance(made.get(name), Tensor)}


def _write(
    graph: _Graph, example: dict[str, Tensor], folder: Path, record: VariantRecord, texts: Sequence[str]
) -> None:
    writers = {"openvino": _openvino, "openvino-int8": _openvino_int8, "onnx": _onnx, "onnx-int8": _onnx_int8}
    writers[record.backend](graph, example, folder / GRAPHS[runtime(record.backend)], record, texts)


def _converted(graph: _Graph, example: dict[str, Tensor]) -> Any:
    openvino = import_openvino()
    converted = openvino.convert_model(graph, example_input=tuple(example.values()))
    for given, name in zip(converted.inputs, example, strict=True):
        given.get_node().set_partial_shape(openvino.PartialShape([-1, -1]))
        given.get_tensor().set_names({name})
    converted.validate_nodes_and_infer_types()
    return converted


def _openvino(
    graph: _Graph, example: dict[str, Tensor], path: Path, record: VariantRecord, texts: Sequence[str]
) -> None:
    import_openvino().save_model(_converted(graph, example), path, compress_to_fp16=True)


def _openvino_int8(
    graph: _Graph, example: dict[str, Tensor], path: Path, record: VariantRecord, texts: Sequence[str]
) -> None:
    """Weights and activations, after training (with NNCF, whose defaults for transformers include SmoothQuant)."""
    openvino = import_openvino()
    import nncf

    tokens = shared_tokens(graph.model.tokenizer.backend_tokenizer.to_str(), record.max_length)

    some = list(texts[:CALIBRATION_TEXTS]) or list(PROBES)
    data = nncf.Dataset(some, lambda text: features([tokens.ids(text)], record.pad, record.inputs))
    with redirect_stdout(sys.stderr):  # for its progress bars: a command may write JSON to stdout
        quantized = nncf.quantize(
            _converted(graph, example), data, subset_size=len(some), model_type=nncf.ModelType.TRANSFORMER
        )
    openvino.save_model(quantized, path)


def _onnx(graph: _Graph, example: dict[str, Tensor], path: Path, record: VariantRecord, texts: Sequence[str]) -> None:
    length = min(record.max_length or _MAX_TOKENS, _MAX_TOKENS)
    rows, columns = (torch.export.Dim(name, min=1, max=end) for name, end in (("n", _MAX_TEXTS), ("s", length)))
    torch.onnx.export(
        graph,
        tuple(example.values()),
        str(path),
        input_names=list(example),
        dynamic_shapes=(({0: rows, 1: columns},) * len(example),),
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _onnx_int8(
    graph: _Graph, example: dict[str, Tensor], path: Path, record: VariantRecord, texts: Sequence[str]
) -> None:
    """Weights to 7 bits a channel, which processors without VNNI need; activations dynamically."""
    import_onnxruntime()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / path.name
        _onnx(graph, example, whole, record, texts)
        quantize_dynamic(whole, path, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)


def _difference(model: SentenceTransformer, folder: Path) -> float:
    """The largest difference in one dimension between vectors of the model and of its variant."""
    variant = CompiledModel(folder)
    encoders: dict[Kind, Any] = {"query": model.encode_query, "document": model.encode_document}
    differences = [
        variant.encode(PROBES, kind) - encode(list(PROBES), normalize_embeddings=True, show_progress_bar=False)
        for kind, encode in encoders.items()
    ]
    return float(np.abs(differences).max())


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the warnings of converters."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
