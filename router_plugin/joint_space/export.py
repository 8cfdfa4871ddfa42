"""Writes a joint space as one self-contained SentenceTransformer folder."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import ModelCardData
from sentence_transformers import SentenceTransformer

from registry.model_folders.adapter_files import base_of, is_adapter
from registry.pages.templates import render_card
from registry.paths import PathLike
from registry.shared.outputs import check_free, staged_folder
from registry.snapshot import Snapshot
from router_plugin.encoders.selection import on_cpu
from router_plugin.errors import JointSpaceError
from router_plugin.joint_space.module import CONFIG, Exported, JointSpaceModule
from router_plugin.joint_space.record import SpaceRecord
from router_plugin.joint_space.space import JointSpace

_MODULE = f"0_{JointSpaceModule.__name__}"
_CARD = "README.md"
_TEMPLATE = Path(__file__).with_name("joint_space_card_template.md")
_MARKER = f"{_MODULE}/{CONFIG}"


def export_joint_space(space: JointSpace, out: PathLike, overwrite: bool = False) -> None:
    """Write a folder that sentence-transformers loads, and that can be moved. It appears atomically.

    Args:
        space: the joint space. The folder has copies of its models: a later champion is not in it.
        out: the folder to write.
        overwrite: replace an earlier export.

    Raises:
        OutputError: the folder may not be written.
        JointSpaceError: an adapter runs on another base model than ``general``, or models run their own code.
    """
    check_target(out, overwrite)
    _check_exportable(space)
    with staged_folder(out, overwrite=overwrite, marker=_MARKER) as staging:
        _write_module(space, staging / _MODULE)
        module = JointSpaceModule(staging / _MODULE)
        device = space.domains.settings.device
        model = SentenceTransformer(  # which opens it once
            modules=[module], device="cpu" if on_cpu(device) else device, similarity_fn_name="cosine"
        )
        model.save_pretrained(str(staging), create_model_card=False)
        card = joint_space_card(space.record, space.dimension, space.domains.base.record().hub_id)
        (staging / _CARD).write_text(card, encoding="utf-8")


def check_target(out: PathLike, overwrite: bool = False) -> None:
    """Make sure that ``out`` may be written, before models are opened.

    Raises:
        OutputError: it exists.
    """
    check_free(out, overwrite, _MARKER)


def _check_exportable(space: JointSpace) -> None:
    domains = space.domains
    if domains.settings.trust_remote_code:
        raise JointSpaceError(
            "`trust_remote_code`: models that run their own code cannot be exported, as the folder contains no code"
        )
    for name, folder in domains.folders.items():
        if is_adapter(folder) and (wanted := base_of(folder)).weights_sha256 != domains.base.digest:
            raise JointSpaceError(
                f"{domains.version(name)} is an adapter on {wanted.name}, and general is {domains.base.name}: "
                "an export holds one base model: choose it with `base_model`"
            )


def _write_module(space: JointSpace, folder: Path) -> None:
    domains = space.domains
    folder.mkdir()
    Snapshot.write(folder, domains.base, [(domains.champions[name], path) for name, path in domains.folders.items()])
    exported = Exported(
        identifier=space.identifier,
        record=space.record,
        backend=domains.settings.backend,
        extra_domains=domains.extra_domains,
    )
    (folder / CONFIG).write_text(exported.model_dump_json(indent=2) + "\n", encoding="utf-8")


def joint_space_card(record: SpaceRecord, dimension: int, base_model: str | None) -> str:
    """The folder's README, as the Hugging Face Hub reads it.

    Args:
        record: of the joint space.
        dimension: of its vectors.
        base_model: Hub id of the base model; None where it is a folder.
    """
    data = ModelCardData(
        base_model=base_model,
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["sentence-transformers", "domain-router", "joint-space"],
    )
    size = record.block_size
    blocks = [
        (block.domain, block.model, f"{number * size} to {(number + 1) * size - 1}")
        for number, block in enumerate(record.blocks)
    ]
    return render_card(_TEMPLATE, data, record=record, dimension=dimension, blocks=blocks)
