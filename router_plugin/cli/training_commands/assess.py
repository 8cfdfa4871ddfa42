"""``domain-router assess``: whether it is worthwhile to train on prepared data, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.names import DEFAULT_BASE_MODEL
from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.named_values import named_path
from router_plugin.cli.options import JsonOption, usable_device
from router_plugin.cli.printing import print_json, print_table, say
from training.options import TrainingOptions

if TYPE_CHECKING:
    from training import Assessment

EXAMPLE = "Example: domain-router assess work/legal"


@with_fields
def assess(
    data: Annotated[Path, typer.Argument(parser=named_path, metavar="DIR", help="Folder that prepare wrote.")],
    *,
    base_model: Annotated[str, typer.Option(help="SentenceTransformer folder or Hub id.")] = DEFAULT_BASE_MODEL,
    revision: Annotated[str | None, typer.Option(help="Revision of the base model on the Hub.")] = None,
    options: Annotated[
        TrainingOptions,
        fields_of(
            TrainingOptions,
            *("encode_batch", "device", "trust_remote_code"),
            callbacks={"device": usable_device},
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Say whether training is worthwhile: what rankers reach without it, what it may gain, and what looks wrong."""
    from registry import resolve_base_model
    from training import assess, read_prepared

    found = assess(
        read_prepared(data),
        resolve_base_model(base_model, revision),
        encode_batch=options.encode_batch,
        device=options.device,
        trust_remote_code=options.trust_remote_code,
    )
    if json:
        print_json(found.model_dump(mode="json"))
    else:
        _print(found, str(data))


_RANKERS = {"base": "base model", "bm25": "BM25", "hybrid": "hybrid of both"}


def _print(found: Assessment, title: str) -> None:
    columns = list(found.metrics["base"])
    rows = [(_RANKERS[name], *(values[metric] for metric in columns)) for name, values in found.metrics.items()]
    print_table(f"{title}: {found.dev_queries} dev queries", ("ranker", *columns), rows)
    _print_ceiling(found)
    if seen := [(each.name, each.count, each.looked_at, each.examples[0]) for each in found.found]:
        print_table("what looks wrong", ("finding", "texts", "of", "for example"), seen)
    difference = found.hybrid["mrr@5"]
    say(
        f"hybrid - base model, mrr@5: {difference.difference:+.4f}, 95 % interval {difference.low:+.4f} to "
        f"{difference.high:+.4f}, p = {difference.p_value:.4f}"
    )
    say(f"verdict: {found.verdict}: {found.reason}")
    if found.more_pairs:
        say(f"more pairs: about {found.more_pairs}")


def _print_ceiling(found: Assessment) -> None:
    errors, ceiling = found.errors, found.ceiling
    rows = [
        ("dev queries right at rank 1", errors.first),
        ("dev queries within reach, ranks 2 to 100", errors.within_reach),
        ("dev queries out of reach", errors.out_of_reach),
        ("ceiling of MRR@5", ceiling.value),
        ("lost to contradictory questions", ceiling.contradictory_questions),
        ("lost to answers that are there twice", ceiling.same_answer_twice),
        ("lost to answers that were not judged", ceiling.unjudged_answers),
        ("lost to answers out of reach", ceiling.out_of_reach),
        (f"expected gain in MRR@5, {found.training_queries} training queries", found.expected_gain),
        ("smallest gain that the dev queries can tell from chance", found.visible_gain),
    ]
    print_table("what training may gain, estimated", ("figure", "value"), rows)
