"""Tables of options in the documentation, made of the models that declare them: ``python -m tests.docs.tables``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from registry.shared.options import Shown, expected, model_fields
from router_plugin import Settings
from router_plugin.cli.model_options import shown_default
from router_plugin.cli.training_commands.jobs.reading import JobOptions
from router_plugin.deployment.options import RayOptions
from router_plugin.exports.litellm_options import LitellmOptions
from router_plugin.exports.vsr_options import VsrOptions
from router_plugin.improving.options import ImproveOptions
from router_plugin.server.options import ServerOptions
from training.corpora.options import EncodeOptions
from training.llm.options import LanguageModelOptions
from training.options import TrainingOptions, WorkerOptions
from training.prepared.options import PrepareOptions
from training.recipes.recipes import RECIPES
from training.sources.options import SourceOptions
from training.splitting.options import GroupingOptions
from training.synthesis.options import SynthesisOptions
from training.tables.options import ReadOptions

PAGES = Path(__file__).parents[2] / "docs"

LINKS = {
    "batch_shares": "#several-sets-one-model",
    "max_loss": "#evaluate-out-of-domain",
    "judge_depth": "#relevance-judged-while-training",
    "encode_with": "encoders.md",
    "lora": "#adapters",
    "dims": "#fewer-dimensions",
    "mix_ratio": "#other-questions-mixed-in",
    "freeze_documents": "#queries-only",
    "strategy": "#strategies",
    "backend": "encoders.md#choosing",
    "index": "candidate-index.md",
}
"""Where an option is explained, seen from the page of its table."""

FLAGS = {"batch_shares": "batch-share", "seeds": "seed", "url": "llm", "mixed": "mix", "model_refs": "model-ref"}
"""Options that are not called like their field."""


def options(*models: Any) -> str:
    """A table of what sets the fields of models on the command line; fields without a description have no option."""
    fields = {name: field for model in models for name, field in model_fields(model).items() if field.description}
    return _one_default("option", fields, _flag)


def settings() -> str:
    """A table of what a router may be made with in Python."""
    return _one_default("setting", model_fields(Settings), _code)


def recipes() -> str:
    """A table of the options of all recipes, with a column of defaults for each."""
    by_recipe = {recipe: model_fields(model) for recipe, model in RECIPES.items()}
    fields = {name: field for known in reversed(by_recipe.values()) for name, field in known.items()}
    names = dict.fromkeys(name for known in by_recipe.values() for name in known)
    rows = (
        (
            _flag(name),
            _values(fields[name]),
            *(_default(known[name]) if name in known else "" for known in by_recipe.values()),
            _text(fields[name], fields, _flag),
        )
        for name in names
    )
    return _table(("option", "values", *by_recipe, "meaning"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "recipes": recipes,
    "training": lambda: options(TrainingOptions),
    "workers": lambda: options(WorkerOptions),
    "jobs": lambda: _one_default("key", model_fields(JobOptions), _code),
    "settings": settings,
    "prepare": lambda: options(PrepareOptions, GroupingOptions, SourceOptions, ReadOptions),
    "encode": lambda: options(EncodeOptions),
    "improve": lambda: options(ImproveOptions),
    "serve": lambda: options(ServerOptions),
    "deploy": lambda: options(RayOptions),
    "vsr": lambda: options(VsrOptions),
    "litellm": lambda: options(LitellmOptions),
    "synthesize": lambda: options(SynthesisOptions),
    "language model": lambda: options(LanguageModelOptions),
}


def with_tables(page: str) -> str:
    """The text of a page whose tables are made anew.

    A table stands between ``<!-- options: NAME -->`` and ``<!-- end of options -->``.
    """
    return re.sub(
        r"(<!-- options: ([\w ]+) -->\n).*?(<!-- end of options -->)",
        lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}",
        page,
        flags=re.DOTALL,
    )


def _one_default(kind: str, fields: Mapping[str, FieldInfo], link: Callable[[str], str]) -> str:
    rows = ((link(name), _values(field), _default(field), _text(field, fields, link)) for name, field in fields.items())
    return _table((kind, "values", "default", "meaning"), rows)


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(re.sub(" +", " ", f"| {' | '.join(line)} |\n") for line in lines)


def _flag(name: str) -> str:
    code = _code(f"--{FLAGS.get(name, name.replace('_', '-'))}")
    return f"[{code}]({LINKS[name]})" if name in LINKS else code


def _code(name: str) -> str:
    return f"[`{name}`]({LINKS[name]})" if name in LINKS else f"`{name}`"


def _values(field: FieldInfo) -> str:
    shown = _shown(field)
    words = expected(field.annotation, field.metadata)
    return f"`{shown.metavar}`" if shown.metavar and "<" not in shown.metavar else words.removeprefix("a ")


def _default(field: FieldInfo) -> str:
    return shown_default(field, _shown(field))


def _shown(field: FieldInfo) -> Shown:
    return next((each for each in field.metadata if isinstance(each, Shown)), Shown())


def _text(field: FieldInfo, fields: Mapping[str, FieldInfo], link: Callable[[str], str]) -> str:
    """The description, in which other fields are named as the table names them."""
    known = {*fields, *FLAGS}
    text = str(field.description)
    return re.sub(r"`(\w+)`", lambda found: link(found[1]) if found[1] in known else found[0], text)


def main() -> None:
    """Write all tables anew."""
    for path in PAGES.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        if (written := with_tables(text)) != text:
            path.write_text(written, encoding="utf-8")
            print(f"{path}: written")  # noqa: T201


if __name__ == "__main__":
    main()
