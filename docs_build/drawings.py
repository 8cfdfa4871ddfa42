"""Draws the diagrams of the documentation as SVG: ``python -m docs_build.drawings``."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from docs_build.links import ROOT

FOLDER = ROOT / "docs" / "images"

STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1f2937; text-anchor: middle; }
  .small { font-size: 12px; fill: #4b5563; }
  .box { fill: #eef2ff; stroke: #4f46e5; stroke-width: 1.5; }
  .store { fill: #ecfdf5; stroke: #047857; stroke-width: 1.5; }
  .line { fill: none; stroke: #6b7280; stroke-width: 1.5; }
  .head { fill: #6b7280; }
  .page { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e5e7eb; } .small { fill: #9ca3af; }
    .box { fill: #1e1b4b; stroke: #a5b4fc; } .store { fill: #022c22; stroke: #6ee7b7; }
    .line { stroke: #9ca3af; } .head { fill: #9ca3af; } .page { fill: #111827; }
  }"""


class Box(NamedTuple):
    """A box with a title and smaller lines below it; ``kind`` is its style."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: tuple[str, ...] = ()
    kind: str = "box"

    def svg(self) -> str:
        """The box."""
        middle, top = self.x + self.width // 2, self.y + self.height // 2 - 8 * len(self.lines) + 5
        texts = [f'<text x="{middle}" y="{top}">{escape(self.title)}</text>'] + [
            f'<text class="small" x="{middle}" y="{top + 17 * (index + 1)}">{escape(line)}</text>'
            for index, line in enumerate(self.lines)
        ]
        shape = (
            f'<rect class="{self.kind}" x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="8"/>'
        )
        return "\n".join([shape, *texts])


class Arrow(NamedTuple):
    """A line through points with a head at its end, and a label at ``at``."""

    points: tuple[tuple[int, int], ...]
    label: str = ""
    at: tuple[int, int] = (0, 0)

    def svg(self) -> str:
        """The arrow."""
        line = " ".join(f"{x},{y}" for x, y in self.points)
        text = (
            f'<text class="small" x="{self.at[0]}" y="{self.at[1]}">{escape(self.label)}</text>' if self.label else ""
        )
        return f'<polyline class="line" points="{line}" marker-end="url(#head)"/>{text}'


def drawing(title: str, width: int, height: int, parts: Iterable[Box | Arrow]) -> str:
    """An SVG file on a ground of its own, in light or dark colours as the reader prefers."""
    head = '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">',
            f"<title>{title}</title>",
            f"<style>{STYLE}\n</style>",
            f'<defs>{head}<path class="head" d="M0,0 L10,5 L0,10 z"/></marker></defs>',
            f'<rect class="page" width="{width}" height="{height}" rx="10"/>',
            *(part.svg() for part in parts),
            "</svg>\n",
        ]
    )


def two_stages() -> str:
    """How a query gets its route."""
    encoders = [("medical", "medical@3"), ("finance", "finance@1"), ("general", "the base model")]
    parts: list[Box | Arrow] = [
        Box(20, 105, 100, 50, "query"),
        Box(170, 85, 180, 90, "domain classifier", ("stage 1: words, and where", "unsure the base model")),
        Box(620, 85, 150, 90, "decision", ("route, score,", "confidence, version")),
        Arrow(((120, 130), (170, 130))),
    ]
    for row, (domain, model) in enumerate(encoders):
        y = 20 + 80 * row
        parts += [
            Box(420, y, 150, 60, f"{domain} encoder", (model,), "store"),
            Arrow(((350, 130), (385, 130), (385, y + 30), (420, y + 30))),
            Arrow(((570, y + 30), (595, y + 30), (595, 130), (620, 130))),
        ]
    parts += [
        Box(420, 275, 150, 60, "routes", ("utterances, embedded", "by the same encoder")),
        Arrow(((495, 275), (495, 242))),
    ]
    return drawing("Two-stage routing", 790, 350, parts)


def training_loop() -> str:
    """What a training run does."""
    return drawing(
        "The training loop",
        790,
        300,
        [
            Box(20, 40, 130, 60, "pairs", ("questions, answers",)),
            Box(200, 40, 150, 60, "prepared data", ("train, dev, test",), "store"),
            Box(420, 20, 150, 60, "encode and rank", ("each training query",)),
            Box(620, 20, 150, 60, "mine", ("hard negatives",)),
            Box(620, 120, 150, 60, "fine-tune", ("on mined examples",)),
            Box(420, 120, 150, 60, "measure on dev", ("interpolation weight",)),
            Box(420, 220, 150, 60, "choose", ("best on dev, or the base",)),
            Box(200, 220, 150, 60, "measure on test", ("once, base and chosen",)),
            Box(20, 220, 130, 60, "registry", ("publish a version",), "store"),
            Arrow(((150, 70), (200, 70)), "prepare", (175, 60)),
            Arrow(((350, 70), (385, 70), (385, 50), (420, 50))),
            Arrow(((570, 50), (620, 50))),
            Arrow(((695, 80), (695, 120))),
            Arrow(((620, 150), (570, 150))),
            Arrow(((495, 120), (495, 80)), "iterate", (525, 105)),
            Arrow(((495, 180), (495, 220))),
            Arrow(((420, 250), (350, 250))),
            Arrow(((200, 250), (150, 250))),
        ],
    )


def joint_space() -> str:
    """What a vector of a joint space consists of."""
    rows = [("query, medical 1.00", (1.0, 0.0, 0.0)), ("query, medical 0.64, finance 0.36", (0.8, 0.6, 0.0))]
    parts: list[Box | Arrow] = [
        Box(250 + 170 * column, 20, 160, 40, f"block of {domain}", (), "store")
        for column, domain in enumerate(("medical", "finance", "general"))
    ]
    for row, (title, weights) in enumerate(rows):
        y = 85 + 70 * row
        parts.append(Box(20, y, 220, 50, title))
        for column, weight in enumerate(weights):
            text = f"{weight:g} x its embedding" if weight else "0"
            parts.append(Box(250 + 170 * column, y, 160, 50, text))
    return drawing("A vector of a joint space", 770, 225, parts)


def versions() -> str:
    """Versions, and the aliases that point to them."""
    stored = [
        Box(20 + 210 * index, 110, 160, 70, f"medical@{index + 1}", ("never changes,", "files under digests"), "store")
        for index in range(3)
    ]
    return drawing(
        "Versions and aliases",
        820,
        245,
        [
            *stored,
            Box(230, 20, 160, 45, "champion"),
            Box(440, 20, 160, 45, "candidate"),
            Box(650, 122, 150, 46, "routers, servers"),
            Arrow(((310, 65), (310, 110))),
            Arrow(((520, 65), (520, 110))),
            Arrow(((345, 65), (345, 88), (495, 88), (495, 110)), "after promotion", (420, 82)),
            Arrow(
                ((725, 168), (725, 212), (310, 212), (310, 180)),
                "serve the champion, and learn when it moves",
                (517, 232),
            ),
        ],
    )


DRAWINGS = {
    "two-stages": two_stages,
    "training-loop": training_loop,
    "joint-space": joint_space,
    "versions": versions,
}


def main() -> None:
    """Write all drawings anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        (FOLDER / f"{name}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
