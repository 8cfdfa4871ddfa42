"""Options of encoding a corpus. Importing it does not import torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from registry.shared.options import Device, Options, Shown, TrustRemoteCode
from training.errors import CorpusError


class EncodeOptions(Options):
    """How the texts of a source are encoded."""

    error = CorpusError

    kind: Annotated[
        Literal["document", "query"], Field(description="Encode texts as the model encodes documents or queries.")
    ] = "document"
    column: Annotated[str | None, Field(description="Column of the texts."), Shown(default="the usual names")] = None
    shard_size: Annotated[
        int, Field(ge=1, le=1_000_000, description="Texts of a shard, which is encoded and written as a whole.")
    ] = 4096
    format: Annotated[
        Literal["npy", "parquet"], Field(description="Of the files of vectors; Parquet has the ids of the texts too.")
    ] = "npy"
    encode_batch: Annotated[int, Field(ge=1, description="Texts encoded at a time.")] = 64
    ray: Annotated[
        str | None,
        Field(description="Address of a Ray cluster that encodes; local starts one on this machine."),
        Shown(default="this process", metavar="ADDRESS"),
    ] = None
    workers: Annotated[
        int | None,
        Field(ge=1, description="With --ray: processes that encode."),
        Shown(default="one a GPU, else one a core"),
    ] = None
    skip_bad: Annotated[bool, Field(description="Skip and count bad rows instead of stopping at the first one.")] = (
        False
    )
    overwrite: Annotated[bool, Field(description="Replace an earlier folder of shards.")] = False
    device: Device = None
    trust_remote_code: TrustRemoteCode = False
