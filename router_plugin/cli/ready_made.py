"""Ready-made domains: trained models that ship with the package, known by name."""

from __future__ import annotations

from pathlib import Path

from registry import DomainRouterError

HOMES = (Path(__file__).parents[1] / "models", Path(__file__).parents[2] / "models")
"""Where they are in an installed package, and where in a clone of the repository."""


def ready_made() -> dict[str, Path]:
    """The folder of every ready-made domain, by name."""
    home = next((home for home in HOMES if home.is_dir()), None)
    return {found.parent.name: found.parent for found in sorted(home.glob("*/modules.json"))} if home else {}


def find_model(name: str) -> Path:
    """The model folder that a name means: a ready-made domain's, else the folder of that path.

    Raises:
        DomainRouterError: it means neither.
    """
    known = ready_made()
    folder = known.get(name, Path(name))
    if not folder.is_dir():
        raise DomainRouterError(
            f"{name} is neither a folder with report.json that 'domain-router train' wrote nor a ready-made domain: "
            f"those are {', '.join(known) or 'none'}"
        )
    return folder
