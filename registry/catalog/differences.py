"""How two versions of models differ: options, data, metrics, files, base model and vector space."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from registry.records import ModelVersion, Record

_SPACE = ("dimension", "max_length", "pooling", "normalized")


class Changed(Record):
    """A value that differs; None where one side has none."""

    before: Any
    after: Any


class MetricChange(Record):
    """A metric of the adapted models on a test set; None where one was not measured there."""

    before: float | None
    after: float | None
    difference: float | None
    same_data: bool = Field(description="whether both were measured on data of the same fingerprint")


class Differences(Record):
    """What differs between two versions; what is equal is left out, but for metrics."""

    before: str
    after: str
    base_model: dict[str, Changed]
    recipe: Changed | None
    options: dict[str, Changed]
    data: dict[str, Changed] = Field(description="fingerprint and counts, of joined and mixed sets under their names")
    vector_space: dict[str, Changed]
    ranking: Changed | None
    metrics: dict[str, dict[str, MetricChange]] = Field(description="by test set and metric")
    files: dict[str, Changed] = Field(description="digests by path; None where a side has no such file")


def differences(before: ModelVersion, after: ModelVersion) -> Differences:
    """What differs between two versions, which may be of different domains."""
    return Differences(
        before=before.name,
        after=after.name,
        base_model=_changed(before.base_model.model_dump(), after.base_model.model_dump()),
        recipe=_changed_value(before.recipe, after.recipe),
        options=_changed(before.options, after.options),
        data=_changed(_data(before), _data(after)),
        vector_space=_changed(*({name: getattr(each, name) for name in _SPACE} for each in (before, after))),
        ranking=_changed_value(before.ranking, after.ranking),
        metrics=_metrics(before, after),
        files=_changed(*({file.path: file.sha256 for file in each.files} for each in (before, after))),
    )


def _changed_value(before: str, after: str) -> Changed | None:
    return None if before == after else Changed(before=before, after=after)


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Changed]:
    return {
        name: Changed(before=before.get(name), after=after.get(name))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    }


def _data(version: ModelVersion) -> dict[str, Any]:
    """The fingerprints and counts of all training data, each under its path."""
    found: dict[str, Any] = {"judge": version.judge}
    sets = {
        "dataset": version.dataset,
        **{f"joined.{name}": each for name, each in version.joined.items()},
        **{f"mixed.{name}": each for name, each in version.mixed.items()},
    }
    for name, dataset in sets.items():
        found[f"{name}.fingerprint"] = dataset.fingerprint
        found |= {f"{name}.{counted}": count for counted, count in dataset.counts.items()}
    return found


def _metrics(before: ModelVersion, after: ModelVersion) -> dict[str, dict[str, MetricChange]]:
    old, new = before.evaluations, after.evaluations
    found: dict[str, dict[str, MetricChange]] = {}
    for name in dict.fromkeys((*old, *new)):
        sides = [each[name].adapted if name in each else {} for each in (old, new)]
        same = name in old and name in new and old[name].fingerprint == new[name].fingerprint
        found[name] = {
            metric: _metric(sides[0].get(metric), sides[1].get(metric), same)
            for metric in dict.fromkeys((*sides[0], *sides[1]))
        }
    return found


def _metric(before: float | None, after: float | None, same_data: bool) -> MetricChange:
    difference = None if before is None or after is None else after - before
    return MetricChange(before=before, after=after, difference=difference, same_data=same_data)
