"""Options that commands share, the values that they accept, and which of them may be given together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from registry import DomainRouterError
from registry.shared.options import model_fields
from router_plugin.cli.model_options import Fields, fields_of, is_given
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.settings import Settings
from router_plugin.tuning.opening import RouterParts
from training.llm.options import LanguageModelOptions


def existing_registry(url: str | None) -> str | None:
    """The registry that an option names, for a command that only reads it; None for that of the environment.

    Raises:
        typer.BadParameter: it does not exist.
    """
    from registry.storage.location import check_exists, is_known, registry_url

    try:
        if is_known(registry_url(url)):
            check_exists(url)
    except DomainRouterError as error:
        raise typer.BadParameter(str(error)) from error
    return url


def usable_device(name: str | None) -> str | None:
    """A device that torch can use here; None for its own choice.

    Raises:
        SettingsError: it cannot be used.
    """
    from router_plugin.encoders.selection import check_device

    check_device(name)
    return name


_HELP = {name: field.description for name, field in model_fields(RouterParts).items()}

RegistryOption = Annotated[
    str | None, typer.Option("--registry", help=_HELP["registry"], show_default=False, callback=existing_registry)
]
NewRegistryOption = Annotated[str | None, typer.Option("--registry", help=_HELP["registry"], show_default=False)]
HybridOption = Annotated[
    bool,
    typer.Option(
        "--hybrid", help="Register it to rank routes by BM25 too; refused unless that wins on dev beyond chance."
    ),
]
ExtraDomainsOption = Annotated[
    Path | None,
    typer.Option(
        "--extra-domains",
        parser=named_path,
        metavar=PATH,
        help=_HELP["extra_domains"],
        show_default=False,
    ),
]
RoutesOption = Annotated[
    list[Path], typer.Option(help=f"{_HELP['routes']} Repeatable.", parser=named_path, metavar=PATH)
]
GeneralBaseOption = Annotated[
    str | None,
    typer.Option("--base-model", help=_HELP["base_model"], show_default="the champions' base model"),
]


def router_parts(*names: str) -> Fields:
    """Options for what a router is opened from, all by default."""
    return fields_of(RouterParts, *names, callbacks={"registry": existing_registry})


PartsOptions = Annotated[RouterParts, router_parts()]
SettingsOptions = Annotated[
    Settings,
    fields_of(
        Settings,
        *("strategy", "ensemble_domains", "single_domain", "aggregation", "top_k", "min_confidence"),
        *("target_precision", "secondary_threshold", "threshold", "backend", "device", "trust_remote_code"),
        *("index", "index_nearest", "index_timeout_s"),
        callbacks={"device": usable_device},
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def refuse_options(context: typer.Context, names: Iterable[str], with_what: str) -> None:
    """Make sure that none of these options is given.

    Args:
        context: of the command.
        names: of its parameters.
        with_what: rules them out, like ``without `url` ``.

    Raises:
        typer.BadParameter: one is given.
    """
    for name in names:
        if is_given(context, name):
            raise typer.BadParameter(f"`{name}` cannot be used {with_what}")


def check_settings(context: typer.Context) -> None:
    """Make sure that no setting is given that the chosen strategy or aggregation does not use.

    Raises:
        typer.BadParameter: one is given.
    """
    if context.params["index"] is None:
        refuse_options(context, ("index_nearest", "index_timeout_s"), "without `index`")
    for name, chosen, value in (
        ("single_domain", "strategy", "single"),
        ("ensemble_domains", "strategy", "ensemble"),
        ("top_k", "aggregation", "top-k"),
    ):
        if context.params[chosen] != value:
            refuse_options(context, (name,), f"without `{chosen}` {value}")


def _llm_options(values: Mapping[str, Any], given: dict[str, Any]) -> LanguageModelOptions | None:
    """How a language model is called; None without ``--llm``, and then none of its other options may be given."""
    if "url" in given:
        return LanguageModelOptions(**given)
    refuse_options(values["context"], LanguageModelOptions.model_fields, "without `url`")
    return None


LlmOptions = Annotated[
    LanguageModelOptions | None,
    Fields({"": LanguageModelOptions}, _llm_options, about="Language model", flags={"url": "--llm"}),
]
