"""``domain-router variants``: a trained model for other runtimes than torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.named_values import joined_sets, named_path
from router_plugin.cli.options import JsonOption
from router_plugin.cli.printing import print_json, print_table
from training.options import TrainingOptions

if TYPE_CHECKING:
    from registry.model_folders.variants import VariantRecord

EXAMPLE = "Example: domain-router variants work/legal-model --data work/legal --backend openvino"


@with_fields
def variants(
    model: Annotated[
        Path, typer.Argument(parser=named_path, help="Model folder that train wrote, not registered yet.")
    ],
    data: Annotated[
        list[str],
        typer.Option(metavar="[NAME=]DIR", help="Prepared folder that it was trained on; repeatable."),
    ],
    backend: Annotated[
        list[str], typer.Option(help="openvino, openvino-int8, onnx or onnx-int8; repeatable.", metavar="BACKEND")
    ],
    *,
    options: Annotated[TrainingOptions, fields_of(TrainingOptions, "encode_batch", "trust_remote_code")],
    json: JsonOption = False,
) -> None:
    """Add variants of a model, measured on its dev split; exit status 1 if one ranks worse and was refused."""
    from registry.model_folders.variants import check_backend
    from training.reporting.verdicts import falls_short
    from training.variants import add_variants

    backends = [check_backend(name) for name in backend]
    added = add_variants(
        model,
        joined_sets("data", data),
        backends,
        encode_batch=options.encode_batch,
        trust_remote_code=options.trust_remote_code,
    )
    if json:
        print_json([{**record.model_dump(), "added": not falls_short(record)} for record in added])
    else:
        print_variants(added)
    if any(map(falls_short, added)):
        raise typer.Exit(1)


def print_variants(added: list[VariantRecord]) -> None:
    """A row for each variant: what it does on dev, beside its model."""
    from training.reporting.verdicts import MEASURE, falls_short

    rows = [
        (
            record.backend,
            record.dev_model[MEASURE],
            record.dev[MEASURE],
            f"{record.dev[MEASURE] - record.dev_model[MEASURE]:+.4f}",
            "refused" if falls_short(record) else "added",
        )
        for record in added
    ]
    print_table("variants", ("backend", f"model dev {MEASURE}", f"variant dev {MEASURE}", "difference", ""), rows)
