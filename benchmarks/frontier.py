"""Plots all variants that were trained on all of MedQuAD, in domain against out of domain, from RESULTS.md.

    python benchmarks/frontier.py benchmarks/frontier-whole.svg

Needs matplotlib. Points are MRR@5 on MedQuAD's random split and on MedicationQA. The variants of the first table are
grey, those of the later two in colour; lines join the interpolation weights of a model.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib import pyplot

RESULTS = Path(__file__).with_name("RESULTS.md")
FIRST, SECOND = "## Recipes on all of MedQuAD", "### Larger batches with people's words, at every interpolation weight"
THIRD = "### The default with bundled questions, and distillation at scale"
END = "## Recipes that were tried"
BASE = "base model"
CURVES = {
    "Random split, whole weights, seed 1": "128, 4 negatives, people's words: weights 0 to 1",
    "Random split, mean of the three seeds' adapters": "the same, LoRA, mean of three seeds",
}

Point = tuple[float, float]


def main() -> None:
    """Read the tables, draw."""
    text = RESULTS.read_text(encoding="utf-8")
    old, new, last = _between(text, FIRST, SECOND), _between(text, SECOND, THIRD), _between(text, THIRD, END)
    base = dict(points(old))[BASE]
    figure, axes = pyplot.subplots(figsize=(9, 6))
    axes.scatter(*base, marker="*", s=120, color="black", label=BASE)
    grey = [(name, point) for name, point in points(old) if name != BASE]
    axes.scatter(*zip(*(point for _, point in grey), strict=True), color="0.65")
    _name(axes, grey, "0.5")
    colours = iter(pyplot.get_cmap("tab10").colors)
    for name, point in (*points(new), *points(last)):
        if name != BASE:
            axes.scatter(*point, color=next(colours), label=name)
    for heading, name in CURVES.items():
        axes.plot(*zip(*curve(new, heading), strict=True), marker=".", linewidth=0.8, label=name)
    axes.axhline(base[1], linewidth=0.5, color="black")
    axes.set(xlabel="MedQuAD test MRR@5, random split", ylabel="MedicationQA MRR@5")
    axes.legend(fontsize=8)
    figure.savefig(sys.argv[1], bbox_inches="tight")


def _between(text: str, start: str, end: str) -> str:
    return text[text.index(start) : text.index(end)]


def points(section: str) -> Iterator[tuple[str, Point]]:
    """The rows of a section's table of models on the random split."""
    table = section.split("Random split", 1)[1].split("Sources held out", 1)[0]
    for row in re.findall(r"^\|(.+)\|$", table, re.MULTILINE):
        name, seed, own, other, *_ = [*(cell.strip() for cell in row.split("|")), "", "", ""]
        if re.match(r"0\.\d{4}", own):
            yield name.replace("`", "") + (f", seed {seed}" if seed else ""), (float(own[:6]), float(other[:6]))


def curve(section: str, heading: str) -> list[Point]:
    """MedQuAD and MedicationQA by interpolation weight."""
    rows = section.split(heading, 1)[1].split("\n\n", 2)[1].splitlines()[2:]
    cells = [[cell.strip(" *") for cell in row.strip("|").split("|")] for row in rows]
    return [(float(row[2]), float(row[3])) for row in cells]


def _name(axes: Any, named: list[tuple[str, Point]], colour: str) -> None:
    for name, point in named:
        axes.annotate(name, point, textcoords="offset points", xytext=(4, 3), fontsize=7, color=colour)


if __name__ == "__main__":
    main()
