"""A diff from a routes file to the file with other routes."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from registry.paths import PathLike, local_path
from router_plugin.errors import RoutesError
from router_plugin.routes import Route
from router_plugin.routes_text.editing import with_utterances

_LINE = re.compile("[^\n]*\n|[^\n]+")


def routes_diff(path: PathLike, proposed: Sequence[Route]) -> str:
    """A unified diff, as ``patch`` and ``git apply`` take it, from a routes file to the file with other routes.

    Args:
        path: of the file.
        proposed: the wanted routes; those of other files are ignored. Only their utterances, thresholds and domains may
            differ.

    Returns:
        The diff; empty where nothing changes.

    Raises:
        RoutesError: the file cannot be read.
    """
    path = local_path(path, RoutesError)
    text = _raw(path)
    changed = with_utterances(path, text, proposed)
    if changed == text:
        return ""
    name = Path(os.path.relpath(path)).as_posix()
    name = path.absolute().as_posix().lstrip("/") if name.startswith("..") else name
    ending = "\t" if " " in name else ""  # so that patch knows where the name ends
    lines = difflib.unified_diff(
        _LINE.findall(text), _LINE.findall(changed), f"a/{name}{ending}", f"b/{name}{ending}", n=3
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _raw(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RoutesError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RoutesError(f"{path}: is not UTF-8 text") from error
