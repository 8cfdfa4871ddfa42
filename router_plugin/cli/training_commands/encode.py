"""``domain-router encode``: the texts of a corpus to vectors, in shards, on this machine or on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from registry.names import DEFAULT_BASE_MODEL
from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.options import JsonOption, NewRegistryOption, usable_device
from router_plugin.cli.printing import print_json, say
from training.corpora.options import EncodeOptions

if TYPE_CHECKING:
    from training.corpora.model_source import ModelSource

EXAMPLE = "Example: domain-router encode work/legal/corpus.jsonl work/legal-vectors --model work/legal-model"


@with_fields
def encode(
    source: Annotated[str, typer.Argument(help="JSONL, CSV or Parquet file, its fsspec URL, or a Hub data set.")],
    out: Annotated[str, typer.Argument(help="Folder of shards to write: a path or an fsspec URL.")],
    *,
    model: Annotated[
        str, typer.Option(help="Model folder, registered model such as legal or legal@3, or Hub id.")
    ] = DEFAULT_BASE_MODEL,
    options: Annotated[EncodeOptions, fields_of(EncodeOptions, callbacks={"device": usable_device})],
    registry: NewRegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Encode a corpus of any size in shards: here or on a Ray cluster. A killed run makes what is missing."""
    from training.cluster.engines import open_engine
    from training.corpora.encoding import encode_corpus
    from training.corpora.shard_folder import ShardFolder

    if options.workers and not options.ray:
        raise typer.BadParameter("`workers` says how many processes of a cluster encode: it needs --ray")
    folder = ShardFolder(out)
    found = _model(model, registry, options.trust_remote_code)
    with open_engine(options.ray, options.workers, options.device) as engine:
        done = encode_corpus(source, folder, found, options, engine)
    manifest = done.manifest
    if json:
        print_json({**manifest.model_dump(), "made": done.made})
        return
    there = len(manifest.shards) - done.made
    before = f", {there} of them before" if there else ""
    say(f"{out}: {manifest.count} vectors of {manifest.dimension} dimensions in {len(manifest.shards)} shards{before}")
    if manifest.skipped:
        typer.echo(f"skipped {manifest.skipped} bad rows", err=True)


def _model(name: str, registry: str | None, trust_remote_code: bool) -> ModelSource:
    """A model folder; else a registered model; else one from the Hub.

    Raises:
        BaseModelError: none of these has that name.
    """
    from registry import InvalidNameError, NotRegisteredError, RegistryError, resolve_base_model
    from registry.paths import is_path, local_path
    from router_plugin.plugins.registries import open_registry
    from training.corpora.model_source import ModelSource

    folder = local_path(name)
    if is_path(name) or folder.is_dir():
        return ModelSource(str(folder.absolute()), folder.absolute(), trust_remote_code=trust_remote_code)
    store = open_registry(registry)
    try:
        version = store.get(name)
    except (InvalidNameError, NotRegisteredError, RegistryError):
        if "@" in name:
            raise
        return ModelSource(name, resolve_base_model(name).path, trust_remote_code=trust_remote_code)
    return ModelSource(
        version.name, store.fetch(version), None, store.url, version.name, trust_remote_code=trust_remote_code
    )
