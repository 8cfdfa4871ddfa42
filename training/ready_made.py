"""Ready-made domains: trained models that ship with the package, known by name."""

from __future__ import annotations

from pathlib import Path

from registry import ModelVersion, Registry
from registry.paths import PathLike, local_path
from training.errors import TrainingError
from training.publishing import publish

HOMES = (Path(__file__).parent / "models", Path(__file__).parents[1] / "models")
"""Their folder in an installed package, and in a clone of the repository."""


def ready_made_domains() -> dict[str, Path]:
    """The model folder of every ready-made domain, by name."""
    home = next((home for home in HOMES if home.is_dir()), None)
    return {found.parent.name: found.parent for found in sorted(home.glob("*/modules.json"))} if home else {}


def find_model(name: PathLike) -> Path:
    """The model folder of a ready-made domain, or the folder of that path.

    Raises:
        TrainingError: it is neither.
    """
    known = ready_made_domains()
    folder = known.get(str(name)) or local_path(name, TrainingError)
    if not folder.is_dir():
        raise TrainingError(
            f"{name} is neither a folder with report.json that 'domain-router train' wrote nor a ready-made domain: "
            f"those are {', '.join(known) or 'none'}"
        )
    return folder


def add_ready_made(name: PathLike, registry: Registry) -> ModelVersion:
    """Register a ready-made domain and make it the champion, unless the registry has it already.

    Raises:
        TrainingError: the name is unknown.
        GateError: the registry's policy does not let it be promoted; it is registered all the same.
    """
    folder = find_model(name)
    return registry.find_by_content(folder) or registry.promote(publish(folder, registry, force=True).name)
