"""Writes a joint space as one SentenceTransformer folder, with all that it needs elsewhere."""

from __future__ import annotations

from pathlib import Path

from sentence_transformers import SentenceTransformer

from registry.model_folders.adapters import base_of, is_adapter
from registry.shared.outputs import check_free, staged_folder
from registry.snapshot import Snapshot
from router_plugin.encoders.selection import on_cpu
from router_plugin.errors import JointSpaceError
from router_plugin.joint_space.module import CONFIG, Exported, JointSpaceModule
from router_plugin.joint_space.record import SpaceRecord
from router_plugin.joint_space.space import JointSpace

_MODULE = f"0_{JointSpaceModule.__name__}"
_CARD = "README.md"
_MARKER = f"{_MODULE}/{CONFIG}"


def export_joint_space(space: JointSpace, out: Path, overwrite: bool = False) -> None:
    """Write a folder that sentence-transformers loads, and that may be moved. It appears atomically.

    Args:
        space: the joint space. The folder holds copies of its models: a later champion is not in it.
        out: the folder to write.
        overwrite: replace an earlier export.

    Raises:
        OutputError: the folder may not be written.
        JointSpaceError: an adapter runs on another base model than ``general``, or models run code of their own.
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
        (staging / _CARD).write_text(_card(space.record, space.dimension), encoding="utf-8")


def check_target(out: Path, overwrite: bool = False) -> None:
    """Make sure that ``out`` may be written, before models are opened.

    Raises:
        OutputError: it exists.
    """
    check_free(out, overwrite, _MARKER)


def _check_exportable(space: JointSpace) -> None:
    domains = space.domains
    if domains.settings.trust_remote_code:
        raise JointSpaceError("models that run code of their own cannot be exported: the folder holds no code")
    for name, folder in domains.folders.items():
        if is_adapter(folder) and (wanted := base_of(folder)).weights_sha256 != domains.base.digest:
            raise JointSpaceError(
                f"{domains.version(name)} is an adapter on {wanted.name}, and general is {domains.base.name}: "
                "an export holds one base model: choose it with --base-model"
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


def _card(record: SpaceRecord, dimension: int) -> str:
    """The folder's README, in the form that the Hugging Face Hub reads."""
    rows = "\n".join(
        f"| {each.domain} | {each.model} | {number * record.block_size} to {(number + 1) * record.block_size - 1} |"
        for number, each in enumerate(record.blocks)
    )
    kept = "the likeliest domain takes all of it" if record.top == 1 else f"the likeliest {record.top} domains share it"
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, domain-router, joint-space]
---

# Joint space {record.identifier}

A classifier finds the domain of a text, and that domain's model embeds it, in a part of the vector that is the domain's
own; {kept}. {dimension} dimensions.

Compare vectors by cosine, and only with vectors of the same identifier, `{record.identifier}`.

| domain | model | numbers of the vector |
|---|---|---|
{rows}

Install [domain-router](https://pypi.org/project/domain-router/), whose module this folder names. It is imported from
there; the folder holds no code.

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder", trust_remote_code=True)
embeddings = model.encode(["a question"])
documents = model.encode_document(["a text of that domain"], domain="{record.blocks[-1].domain}")
```

To shorten vectors by `truncate_dim` would cut domains off: export with `--dims` instead.
"""
