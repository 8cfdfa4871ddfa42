"""What each rule of a policy says of a version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from registry.errors import SignatureError
from registry.gates.query_metrics import QueryMetrics
from registry.policies.policy import MetricRule, Policy
from registry.records import ComparisonRecord, ModelVersion, Record
from registry.signing.manifest import Manifest
from registry.signing.trust import check_trusted

SEED = 0
"""Of the bootstrap: the same versions always get the same verdict."""

Measured = Mapping[str, QueryMetrics]


class Verdict(Record):
    """One line of a gate's decision."""

    rule: str
    passed: bool
    text: str


@dataclass(frozen=True)
class Case:
    """A version that may be promoted.

    Attributes:
        version: in question.
        champion: that it would replace; None if its domain has none.
        measured: the metrics of every query of a version, by test set; empty where they were not kept.
        signature: of the version in question, if it has one.
        space_announced: whether it was said that the vector space changes in kind.
    """

    version: ModelVersion
    champion: ModelVersion | None
    measured: Callable[[ModelVersion], Measured]
    signature: Callable[[], str | None]
    space_announced: bool = False


def verdicts(policy: Policy, case: Case) -> list[Verdict]:
    """What every rule that the policy has says, in the order of :data:`RULES`."""
    return [verdict for rule in RULES.values() for verdict in rule(policy, case)]


def _metrics(policy: Policy, case: Case) -> Iterator[Verdict]:
    for rule in policy.metrics:
        passed, text = _compared(rule, case)
        yield Verdict(rule=f"metrics {rule.test_set} {rule.metric}", passed=passed, text=text)


def _compared(rule: MetricRule, case: Case) -> tuple[bool, str]:
    """Whether a version keeps to a rule, compared with the champion; before there is one, with its base model."""
    if case.version.evaluations.get(rule.test_set) is None:
        return False, f"cannot be compared: {case.version.name} was not measured on {rule.test_set}"
    if case.champion is None:
        found = case.version.evaluations[rule.test_set].comparison.get(rule.metric)
        against = "the base model, as there is no champion yet"
        if found is None:
            return False, f"cannot be compared: the record of {case.version.name} has no interval against its base"
    else:
        paired = _paired(rule, case.version, case.champion, case.measured)
        if isinstance(paired, str):
            return False, f"cannot be compared: {paired}"
        found, against = paired, f"the champion {case.champion.name}"
    return found.low >= rule.lower_bound, (
        f"{found.difference:+.4f} against {against}, 95 % interval {found.low:+.4f} to {found.high:+.4f}; "
        f"its lower end must be at least {rule.lower_bound:g}"
    )


def _paired(
    rule: MetricRule, version: ModelVersion, champion: ModelVersion, measured: Callable[[ModelVersion], Measured]
) -> ComparisonRecord | str:
    """Version minus champion; why they cannot be compared."""
    sides = []
    for each in (champion, version):
        if (of_set := measured(each).get(rule.test_set)) is None or rule.metric not in of_set.metrics:
            return (
                f"{each.name} has no metrics of single queries on {rule.test_set}: train it again, or force this once"
            )
        sides.append(of_set)
    before, after = sides
    if before.fingerprint != after.fingerprint:
        return f"{rule.test_set} of {champion.name} and of {version.name} hold other queries or documents"
    import numpy as np  # lists of versions need no arrays

    from registry.gates.significance import compare

    found = compare(np.array(before.metrics[rule.metric]), np.array(after.metrics[rule.metric]), SEED, after.rows)
    return ComparisonRecord(difference=found.difference, low=found.low, high=found.high, p_value=found.p_value)


def _guards(policy: Policy, case: Case) -> Iterator[Verdict]:
    if not policy.guards:
        return
    broken = [name for name, found in case.version.evaluations.items() if found.lost_too_much]
    faults = [] if case.version.improved else ["no iteration beat the base model on dev"]
    faults += [f"it lost more than its max_loss on {', '.join(broken)}"] if broken else []
    yield Verdict(
        rule="guards", passed=not faults, text="; ".join(faults) or "it beat its base on dev, and broke no max_loss"
    )


def _max_bytes(policy: Policy, case: Case) -> Iterator[Verdict]:
    yield from _at_most("max_bytes", policy.max_bytes, case.version.size, "bytes of files")


def _max_dimension(policy: Policy, case: Case) -> Iterator[Verdict]:
    yield from _at_most("max_dimension", policy.max_dimension, case.version.dimension, "dimensions")


def _max_length(policy: Policy, case: Case) -> Iterator[Verdict]:
    yield from _at_most("max_length", policy.max_length, case.version.max_length, "tokens of a text")


def _at_most(rule: str, limit: int | None, value: int | None, what: str) -> Iterator[Verdict]:
    if limit is not None:
        shown = "no limit" if value is None else f"{value:,}"
        passed = value is not None and value <= limit
        yield Verdict(rule=rule, passed=passed, text=f"{shown} {what}; at most {limit:,} are allowed")


def _base_models(policy: Policy, case: Case) -> Iterator[Verdict]:
    if policy.base_models is not None:
        name = case.version.base_model.name
        yield Verdict(
            rule="base_models",
            passed=name in policy.base_models,
            text=f"its base model is {name}; allowed: {', '.join(policy.base_models)}",
        )


def _require_signature(policy: Policy, case: Case) -> Iterator[Verdict]:
    if not policy.require_signature:
        return
    with TemporaryDirectory() as folder:
        keys = [Path(folder) / name for name in policy.require_signature]
        for key, pem in zip(keys, policy.require_signature.values(), strict=True):
            key.write_text(pem, encoding="ascii")
        try:
            signer = check_trusted(Manifest.of(case.version), case.version.name, case.signature(), keys)
            passed, text = True, f"signed with the key {signer.name}"
        except SignatureError as error:
            passed, text = False, str(error)
    yield Verdict(rule="require_signature", passed=passed, text=text)


def _same_space(policy: Policy, case: Case) -> Iterator[Verdict]:
    if not policy.same_space:
        return
    changes = space_changes(case.champion, case.version) if case.champion else []
    if not case.champion:
        text = "there is no champion yet"
    elif not changes:
        text = f"base model, dimension and pooling are those of {case.champion.name}"
    else:
        text = "; ".join(changes) + (": announced" if case.space_announced else ": `announce_vector_space` is needed")
    yield Verdict(rule="same_space", passed=not changes or case.space_announced, text=text)


def space_changes(before: ModelVersion, after: ModelVersion) -> list[str]:
    """How the vectors of two versions differ in kind; of one kind they have the same base, dimension and pooling.

    Versions of one kind still put a text at different places: vectors of one are never compared with another's.
    """
    pairs = {
        "base model": (before.base_model.name, after.base_model.name),
        "weights of the base model": (before.base_model.weights_sha256[:12], after.base_model.weights_sha256[:12]),
        "dimension": (before.dimension, after.dimension),
        "pooling": (before.pooling, after.pooling),
        "normalized": (before.normalized, after.normalized),
    }
    return [f"{name} {old} becomes {new}" for name, (old, new) in pairs.items() if old != new]


RULES: dict[str, Callable[[Policy, Case], Iterator[Verdict]]] = {
    "metrics": _metrics,
    "guards": _guards,
    "max_bytes": _max_bytes,
    "max_dimension": _max_dimension,
    "max_length": _max_length,
    "base_models": _base_models,
    "require_signature": _require_signature,
    "same_space": _same_space,
}
"""The rules by their names in :class:`Policy`. A rule that does not apply has no verdict."""
