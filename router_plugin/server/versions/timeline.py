"""The versions of a domain, newest first, with what each gained over its base model at home and away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from registry import CHAMPION, ModelVersion, Registry
from registry.catalog.listing import Filter
from registry.pages.charts import Interval, intervals
from registry.records import TEST, ComparisonRecord

SHOWN = 50
"""Versions of a page."""
MOST_SETS = 6
"""Test sets of a page: the domain's own, and others as the newest versions have them."""


class Gain(NamedTuple):
    """What a version gained on a test set; the interval is None where it was not measured.

    Attributes:
        base: metric of its base model.
        adapted: metric of the version.
        comparison: of the two.
        lost_too_much: whether it lost more than its training allowed.
    """

    base: float
    adapted: float
    comparison: ComparisonRecord | None
    lost_too_much: bool


class Entry(NamedTuple):
    """A version, the aliases that point to it, and since when it is not to be promoted."""

    version: ModelVersion
    aliases: tuple[str, ...]
    retired: datetime | None

    def gain(self, test_set: str, metric: str) -> Gain | None:
        """What it gained; None where it was not measured."""
        found = self.version.evaluations.get(test_set)
        if found is None or metric not in found.base or metric not in found.adapted:
            return None
        return Gain(found.base[metric], found.adapted[metric], found.comparison.get(metric), found.lost_too_much)


@dataclass(frozen=True)
class Timeline:
    """A page of the versions of a domain.

    Attributes:
        entries: the newest first.
        page: its number, from 1.
        pages: how many there are.
        versions: of all pages.
    """

    entries: tuple[Entry, ...]
    page: int
    pages: int
    versions: int

    @property
    def test_sets(self) -> list[str]:
        """The domain's own, then others."""
        names = dict.fromkeys(name for entry in self.entries for name in entry.version.evaluations)
        return sorted(names, key=lambda name: name != TEST)[:MOST_SETS]

    def charts(self, metric: str) -> dict[str, str]:
        """The gains on each test set with intervals, oldest first; those of the champion are marked."""
        drawn = {name: self._points(name, metric) for name in self.test_sets}
        return {
            name: intervals(f"Gain in {metric} on {name}, by version", points, base=0)
            for name, points in drawn.items()
            if points
        }

    def _points(self, test_set: str, metric: str) -> list[Interval]:
        points = []
        for entry in reversed(self.entries):
            gain, name = entry.gain(test_set, metric), entry.version.name
            if gain and gain.comparison:
                difference, low, high, _ = (value for _, value in gain.comparison)
                title = f"{name}: {difference:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}"
                label = str(entry.version.version)
                points.append(Interval(label, title, difference, low, high, CHAMPION in entry.aliases))
        return points


def read_timeline(registry: Registry, domain: str, page: int = 1) -> Timeline:
    """A page of the versions that are not deleted; the last one where there are fewer.

    Raises:
        RegistryError: the registry cannot be read.
    """
    listed = registry.listed(Filter(domain=domain))[::-1]
    pages = max(1, -(-len(listed) // SHOWN))
    page = min(page, pages)
    shown = {each.version: each for each in listed[(page - 1) * SHOWN : page * SHOWN]}
    versions = registry.versions(domain, shown)[::-1]
    entries = (Entry(each, shown[each.version].aliases, shown[each.version].retired) for each in versions)
    return Timeline(tuple(entries), page, pages, len(listed))


def timeline_of_champion(version: ModelVersion) -> Timeline:
    """The one version that a copy of a registry has of a domain."""
    return Timeline((Entry(version, (CHAMPION,), None),), 1, 1, 1)
