"""Two-stage domain routing: a classifier picks the domain, that domain's encoder picks the route."""

import warnings
from importlib.util import find_spec
from pathlib import Path

import lazy_loader


def _another_file(package: str) -> str | None:
    """The file that Python finds for a package of ours in place of it; None where it finds ours."""
    try:
        found = find_spec(package)
    except ValueError:  # a module that somebody made without a file
        return "a module without a file"
    if found is None or found.origin is None:
        return None
    return None if Path(found.origin).parent.parent == Path(__file__).parent.parent else found.origin


_HIDES = "{0} hides the package '{1}' of domain-router: rename it, or start Python where it is not found first"

if _registry := _another_file("registry"):
    raise ImportError(_HIDES.format(_registry, "registry"))
if _training := _another_file("training"):
    warnings.warn(
        f"{_HIDES.format(_training, 'training')}; routing works, but reading data, training and 'prepare' do not",
        RuntimeWarning,
        stacklevel=2,
    )

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
