"""Maps of a domain's routes, incoming queries and prepared data as an encoder sees them, laid out in the plane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.progress import Progress
from registry.shared.texts import clean
from router_plugin.cosines import usable
from router_plugin.inspection.beir import read_beir
from router_plugin.inspection.layouts import Method, lay_out
from router_plugin.serving.candidate_store import embed, embed_cached
from router_plugin.serving.candidates import Matrix
from router_plugin.serving.domains import ServedDomains
from router_plugin.serving.state import ServingState

MOST = 50_000
"""Texts of a map."""
KEPT_QUERY = "kept query"
"""The part of a map that holds incoming queries."""

_BLOCK = 64
_VERSIONS = 8
_ENCODING = 0.9
"""The part of the work that encoding is, about."""


class MapText(NamedTuple):
    """A text for a map.

    Attributes:
        part: of the map: ``route``, ``document``, ``query``, ``train query`` and so on, or ``kept query``.
        text: to encode.
        name: of the route, or the id in its folder.
        version: that decided a kept query; empty for others.
        kept: id of a kept query; 0 for others.
    """

    part: str
    text: str
    name: str
    version: str = ""
    kept: int = 0


@dataclass(frozen=True)
class MapTexts:
    """Texts for a map.

    Attributes:
        texts: at most ``MOST``.
        relevant: by the number of a judged query, the numbers of its relevant documents.
        left_out: texts for which there was no room.
    """

    texts: list[MapText]
    relevant: dict[int, list[int]]
    left_out: int = 0


class Colouring(NamedTuple):
    """A way to colour points: labels, and the number of each point's label, ``(n,)``."""

    name: str
    labels: list[str]
    codes: NDArray[np.uint8]

    def counts(self) -> list[int]:
        """How many points have each label."""
        found: list[int] = np.bincount(self.codes, minlength=len(self.labels)).tolist()
        return found


@dataclass(frozen=True)
class EmbeddingMap:
    """``n`` texts in the plane.

    Attributes:
        places: in the unit square, ``(n, 2)``.
        method: by which they were found.
        texts: what is at each place. The text of a kept query is left out, as queries may be deleted meanwhile.
        colourings: by part; by error, where queries are judged; by version, where there are kept queries.
        unreadable: texts without a finite vector, which are not on the map.
        left_out: texts for which there was no room.
    """

    places: Matrix
    method: Method
    texts: list[MapText]
    colourings: list[Colouring]
    unreadable: int
    left_out: int

    def packed(self) -> bytes:
        """The places as little-endian float32, point by point, then a byte for each point of every colouring."""
        return b"".join([self.places.astype("<f4").tobytes(), *(each.codes.tobytes() for each in self.colourings)])


def texts_for_map(
    state: ServingState, domain: str, kept: Sequence[MapText] = (), folder: Path | None = None, most: int = MOST
) -> MapTexts:
    """The utterances of a domain's routes, its kept queries, and its prepared data, as far as there is room.

    Args:
        state: of the router.
        domain: that is served.
        kept: its incoming queries, the newest first.
        folder: prepared data in BEIR layout.
        most: texts.

    Raises:
        SettingsError: the folder cannot be read.
    """
    positions = state.routes_of(domain).positions.tolist()
    routes = [state.served.routes[position] for position in positions]
    every = [*(MapText("route", text, route.name) for route in routes for text in route.utterances), *kept]
    found = every[:most]
    if folder is None or len(found) == most:
        return MapTexts(found, {}, len(every) - len(found))
    part = read_beir(folder, most - len(found))
    rows: dict[str, int] = {}
    for name, text in part.documents.items():
        rows[name] = len(found)
        found.append(MapText("document", text, name))
    relevant: dict[int, list[int]] = {}
    for name, text in part.queries.items():
        if name in part.relevant:
            relevant[len(found)] = [rows[each] for each in part.relevant[name] if each in rows]
        split = part.splits.get(name)
        found.append(MapText(f"{split} query" if split else "query", text, name))
    return MapTexts(found, relevant, part.left_out)


def draw_map(given: MapTexts, domains: ServedDomains, domain: str, progress: Progress = lambda _: None) -> EmbeddingMap:
    """Encode texts as queries of a domain are, and lay them out.

    Args:
        given: the texts.
        domains: with the wanted version of the domain.
        domain: whose encoder reads them.
        progress: hears how far this is.
    """
    vectors = _encoded(given.texts, domains, domain, progress)
    rows = np.flatnonzero(usable(vectors)) if len(vectors) else np.zeros(0, dtype=np.int64)
    kept = [given.texts[row] for row in rows.tolist()]
    layout = lay_out(vectors[rows])
    errors = _errors(vectors, given)
    colourings = [_colouring("part", [each.part for each in kept])]
    if errors:
        colourings.append(_colouring("error", [errors.get(row, "not judged") for row in rows.tolist()]))
    if any(each.kept for each in kept):
        colourings.append(_versions(kept))
    texts = [each._replace(text="") if each.kept else each for each in kept]
    return EmbeddingMap(layout.places, layout.method, texts, colourings, len(given.texts) - len(kept), given.left_out)


def _encoded(texts: Sequence[MapText], domains: ServedDomains, domain: str, progress: Progress) -> Matrix:
    """Vectors, ``(n, d)``. Those of kept queries are cached nowhere."""
    found: list[Matrix] = []
    version = domains.artifacts[domains.encoded_by[domain]]
    for start in range(0, len(texts), _BLOCK):
        progress(_ENCODING * start / len(texts))
        block = texts[start : start + _BLOCK]
        read = [clean(each.text) for each in block]
        with domains.encoder(domain) as encoder:
            private = any(each.kept for each in block)
            vectors = embed(read, encoder) if private else embed_cached(read, encoder, version)
        found += [each.vector for each in vectors]
    progress(_ENCODING)
    return np.stack(found) if found else np.zeros((0, 1), dtype=np.float32)


def _errors(vectors: Matrix, given: MapTexts) -> dict[int, str]:
    """Whether the document with the highest cosine is relevant, by the number of a judged query."""
    is_document = np.array([each.part == "document" for each in given.texts], dtype=bool)
    documents = np.flatnonzero(is_document & usable(vectors))
    among, judged = vectors[documents], [*given.relevant]
    found: dict[int, str] = {}
    for start in range(0, len(judged) if len(documents) else 0, _BLOCK):
        block = judged[start : start + _BLOCK]
        best = documents[(vectors[block] @ among.T).argmax(axis=1)]
        for row, first in zip(block, best.tolist(), strict=True):
            found[row] = "right" if first in given.relevant[row] else "wrong"
    return found


def _versions(texts: Sequence[MapText]) -> Colouring:
    often = {name for name, _ in Counter(each.version for each in texts if each.kept).most_common(_VERSIONS)}
    names = [
        "no kept query" if not each.kept else each.version if each.version in often else "another" for each in texts
    ]
    return _colouring("version", names)


def _colouring(name: str, labels: Sequence[str]) -> Colouring:
    """The most frequent label first."""
    different = [label for label, _ in Counter(labels).most_common()]
    numbers: Mapping[str, int] = {label: number for number, label in enumerate(different)}
    return Colouring(name, different, np.array([numbers[label] for label in labels], dtype=np.uint8))
