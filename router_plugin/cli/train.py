"""``domain-router train``: prepared data to an adapted model."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from registry.names import DEFAULT_BASE_MODEL
from router_plugin.cli.output import JsonOption, RegistryOption, print_json, print_table

EXAMPLE = "Example: domain-router train work/legal --domain legal --out work/legal-model --register"


class RecipeName(str, Enum):
    """Which recipe."""

    contrastive = "contrastive"
    triplet = "triplet"


def _number(help: str, **limits: Any) -> Any:
    return typer.Option(help=help, show_default="the recipe's", rich_help_panel="Numbers of the recipe", **limits)


def train(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="Folder that prepare wrote.")],
    domain: Annotated[str, typer.Option(help="Name of the domain.")],
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
    recipe: Annotated[
        RecipeName, typer.Option(help="contrastive: InfoNCE, interpolated weights; triplet: the reference.")
    ] = RecipeName.contrastive,
    base_model: Annotated[str, typer.Option(help="SentenceTransformer folder or Hub id.")] = DEFAULT_BASE_MODEL,
    revision: Annotated[str | None, typer.Option(help="Revision of the base model on the Hub.")] = None,
    register: Annotated[bool, typer.Option("--register", help="Register the model when it is trained.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Register even if the base model was not beaten.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier model folder.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Seed of everything random.")] = 42,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, mps, ...", show_default="a GPU if there is one")
    ] = None,
    encode_batch: Annotated[int, typer.Option(min=1, help="Texts encoded at a time.")] = 64,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let the base model run code of its own.")
    ] = False,
    iterations: Annotated[int | None, _number("Rounds of mine, fine-tune, evaluate.")] = None,
    epochs: Annotated[int | None, _number("Passes over the examples in an iteration.")] = None,
    batch_size: Annotated[int | None, _number("Examples a step.")] = None,
    learning_rate: Annotated[float | None, _number("Learning rate after warm-up.")] = None,
    warmup_steps: Annotated[float | None, _number("Warm-up steps; below 1 a share of all.")] = None,
    weight_decay: Annotated[float | None, _number("Weight decay.")] = None,
    max_length: Annotated[int | None, _number("Tokens a text is cut at while training.")] = None,
    interpolation: Annotated[float | None, _number("Share of trained weights in the result, 0 to 1.")] = None,
    negatives: Annotated[int | None, _number("contrastive: mined negatives a query.")] = None,
    scale: Annotated[float | None, _number("contrastive: inverse temperature.")] = None,
    mini_batch: Annotated[int | None, _number("contrastive: texts in memory at a time.")] = None,
    least_steps: Annotated[int | None, _number("contrastive: steps an iteration has at least.")] = None,
    most_epochs: Annotated[int | None, _number("contrastive: passes added for least-steps end here.")] = None,
    margin: Annotated[float | None, _number("triplet: margin of the cosine distance.")] = None,
    easy_per_hard: Annotated[int | None, _number("triplet: easy triplets kept for each hard one.")] = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Adapt a base model to a domain, measure it, and perhaps register it. Killed runs go on when started again."""
    from registry import resolve_base_model
    from registry.names import check_domain
    from router_plugin.opening import open_registry
    from training.adaptation import adapt
    from training.prepared import read_prepared
    from training.publishing import publish
    from training.recipes import make_recipe, number_names

    numbers = {name: value for name, value in context.params.items() if name in number_names()}
    check_domain(domain)
    chosen = make_recipe(recipe.value, numbers)
    prepared = read_prepared(data)
    base = resolve_base_model(base_model, revision)
    store = open_registry(registry) if register else None
    report = adapt(
        prepared,
        domain,
        base,
        out,
        chosen,
        seed=seed,
        encode_batch=encode_batch,
        device=device,
        trust_remote_code=trust_remote_code,
        overwrite=overwrite,
    )
    if not json:
        print_gain(report, str(out))
    version = publish(out, store, force) if store else None
    if json:
        print_json({**report, "registered": version.name if version else None})
    elif version:
        typer.echo(f"registered as {version.name}")


def print_gain(report: dict[str, Any], title: str) -> None:
    """The table of base against adapted on the held-out queries."""
    from training.report import describe_comparison

    base, adapted = report["base_metrics"]["test"], report["adapted_metrics"]["test"]
    queries = report["dataset"]["counts"]["test_queries"]
    print_table(
        f"{title}: {report['chosen']}, {queries} held-out queries, {report['seconds']} s",
        ("metric", "base", "adapted", "gain"),
        [
            (name, base[name], adapted[name], f"{adapted[name] - base[name]:+.4f}")
            for name in base
            if not name.endswith("@1")  # where all four are the same
        ],
    )
    for line in describe_comparison(report):
        typer.echo(line)
    if not report["improved"]:
        typer.echo("No iteration beat the base model on dev, so the model folder holds the base model's weights.")
