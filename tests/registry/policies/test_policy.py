"""Policies are read strictly, with file and line, and no odd name enters a registry by any door."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry import InvalidNameError, Registry, RegistryError
from registry.errors import PolicyError
from registry.policies.policy import Guard, MetricRule, Policy, policy_text, read_policy
from tests.registry.gates.samples import policy
from tests.registry.samples import make_record, write_model

WHOLE = """\
metrics:
  - {test_set: test, lower_bound: -0.01}
  - {test_set: real-questions, metric: ndcg@10, lower_bound: 1e-3}
guards: true
max_bytes: 100_000_000
max_dimension: 384
max_length: 512
base_models: [all-MiniLM-L6-v2]
same_space: true
protected:
  champion: {role: release}
  candidate: {key: trainers}
"""


def test_a_policy_is_read_and_written_back(tmp_path):
    found = policy(tmp_path, WHOLE)
    assert found.metrics[1] == MetricRule(test_set="real-questions", metric="ndcg@10", lower_bound=0.001)
    assert found.protected == {"champion": Guard(role="release"), "candidate": Guard(key="trainers")}
    (tmp_path / "again.yaml").write_text(policy_text(found))
    assert read_policy(tmp_path / "again.yaml") == found
    (tmp_path / "empty.yaml").write_text(policy_text(Policy()))
    assert read_policy(tmp_path / "empty.yaml") == Policy()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("guard: true", r"line 1: guard: unknown rule: expected one of metrics, guards"),
        ("guards: true\nguards: true", r"line 2: duplicate key"),
        ("guards: 1", r"line 1: guards: .*boolean"),
        ("max_bytes: many", r"line 1: max_bytes: .*integer"),
        ("max_bytes: 0", r"line 1: max_bytes: .*greater than 0"),
        ("\nmax_dimension: 3.5", r"line 2: max_dimension"),
        ("metrics:\n - {test_set: test}", r"line 2: metrics.0.lower_bound: Field required"),
        ("metrics:\n - {test_set: test, lower_bound: .nan}", r"line 2: metrics.0.lower_bound"),
        ("metrics:\n - {test_set: test, lower_bound: 2}", r"line 2: metrics.0.lower_bound"),
        ("metrics:\n - {test_set: test, metric: f1, lower_bound: 0}", r"line 2: metrics.0.metric: .*mrr@5"),
        ("metrics:\n - {test_set: ../x, lower_bound: 0}", r"line 2: metrics.0.test_set: .*not allowed"),
        ("base_models: []", r"line 1: base_models"),
        ("protected:\n  champion: {}", r"line 2: protected.champion: expected either role or key"),
        ("protected:\n  champion: {role: a, key: b}", r"line 2: protected.champion: expected either role or key"),
        ("protected:\n  champion: {role: 'a; DROP ROLE b'}", r"line 2: protected.champion.role: .*not allowed"),
        ("protected:\n  ../x: {role: a}", r"protected.*not allowed"),
        (
            "protected:\n  champion: {user: a}",
            r"line 2: protected.champion.user: unknown rule: .* role, key",
        ),
        ("- guards", r"line 1: expected rules"),
        ("", r"line 1: expected rules"),
        ("guards: 2026-01-01", r"line 1: guards"),
    ],
)
def test_a_mistake_in_a_policy_is_named_with_its_line(tmp_path, text, said):
    with pytest.raises(PolicyError, match=said):
        policy(tmp_path, text)


PLAIN = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
PLACED = st.sampled_from("/\\.\0\n\x1b\u202e\u0430\u0455'\";% A")
"""Characters that make a name odd wherever they stand; the last letters but one look like Latin ones."""

ODD = st.one_of(
    st.text(),
    st.text("medical", min_size=65, max_size=300),
    PLACED.map(lambda character: f"med{character}ical"),
).filter(
    lambda name: (
        "@" not in name  # which makes a reference of it
        and not (name.isascii() and name.isdigit())  # a version
        and (len(name) > 64 or not PLAIN.fullmatch(name))
    )
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A registry with a domain of two versions, which no odd name may change."""
    place = tmp_path_factory.mktemp("names")
    registry = Registry.open(str(place / "registry"))
    for _ in range(2):
        registry.publish(write_model(place / "model"), make_record())
    yield registry
    registry.close()


@settings(max_examples=60)
@given(ODD)
@example("../x")
@example("a" * 300)
@example("medic\u0430l")
@example("ｍedical")
@example("med\x00ical")
@example("med\x1b[2Jical")
@example("x'; DROP TABLE aliases; --")
@example("' OR '1'='1")
@example("champion\n")
@example("..")
def test_an_odd_name_is_refused_at_every_door(store: Registry, name):
    doors = (
        lambda: store.get(name),
        lambda: store.get(f"medical@{name}"),
        lambda: store.versions(name),
        lambda: store.aliases(name),
        lambda: store.promote(f"{name}@1"),
        lambda: store.promote(f"medical@{name}"),
        lambda: store.gate(f"{name}@1"),
        lambda: store.rollback(name),
        lambda: store.history(name),
        lambda: store.history("medical", name),
        lambda: store.policies.set(Policy(), name),
        lambda: store.policies.remove(name),
        lambda: store.policies.add_key(name),
        lambda: store.policies.remove_key(name),
        lambda: make_record(name),
        lambda: Guard(role=name),
        lambda: Guard(key=name),
        lambda: Policy(protected={name: Guard(key="release")}),
        lambda: MetricRule(test_set=name, lower_bound=0),
    )
    for number, door in enumerate(doors):
        with pytest.raises((InvalidNameError, ValueError, RegistryError)) as refused:
            door()
        assert "not allowed" in str(refused.value) or "count from 1" in str(refused.value), (number, refused.value)
    assert store.aliases("medical") == {"champion": 1, "candidate": 2}
    assert store.policies.all() == [] and store.policies.keys() == {}
