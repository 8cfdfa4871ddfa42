"""Policies decide on promotions: every rule, force with a reason, and what the history keeps of it."""

import pytest

from registry import BaseModelRecord, Registry
from registry.errors import GateError, PolicyError
from registry.gates import promotion
from registry.gates.query_metrics import FILE_NAME, parse_query_metrics
from registry.names import CHAMPION
from registry.policies.policy import Policy
from registry.storage.database import write
from tests.registry.gates.samples import OTHER_DATA, lines, other_set, policy, publish, steady

NOT_WORSE = "metrics: [{test_set: test, lower_bound: -0.01}]"


def test_a_version_that_is_worse_than_the_champion_is_not_promoted_though_it_beats_the_base(registry, tmp_path):
    publish(registry, tmp_path, steady(0.8))
    publish(registry, tmp_path, steady(0.7))  # its record says +0.33 against the base
    registry.policies.set(policy(tmp_path, NOT_WORSE), "medical")
    with pytest.raises(
        GateError, match=r"medical@2 is not promoted: 1 of 1 lines.*-0\.1000 against the champion"
    ) as error:
        registry.promote("medical")
    assert [verdict.passed for verdict in error.value.verdicts] == [False]
    assert registry.aliases("medical") == {"champion": 1, "candidate": 2}
    publish(registry, tmp_path, steady(0.9))
    assert registry.promote("medical").version == 3


def test_the_lower_end_of_the_interval_decides_and_not_the_mean(tmp_path):
    registry = Registry.open(str(tmp_path / "registry"))
    publish(registry, tmp_path, steady(0.5))
    publish(registry, tmp_path, [0.0, 1.0] * 19 + [1.0, 1.0])  # better by 0.025 in the mean, and anything but sure
    registry.policies.set(policy(tmp_path, "metrics: [{test_set: test, lower_bound: 0}]"))
    (verdict,) = registry.gate("medical")[1].verdicts
    assert not verdict.passed and "+0.0250" in verdict.text


def test_queries_are_paired(tmp_path):
    """Ranks that vary much between queries, and are a little better for each, are better for sure."""
    registry = Registry.open(str(tmp_path / "registry"))
    ranks = [0.1, 0.9] * 20
    publish(registry, tmp_path, ranks)
    publish(registry, tmp_path, [rank + 0.02 for rank in ranks])
    registry.policies.set(policy(tmp_path, "metrics: [{test_set: test, lower_bound: 0.01}]"))
    assert lines(registry, "medical") == {"metrics test mrr@5": True}


@pytest.mark.parametrize(
    ("champion", "candidate", "fingerprint", "said"),
    [
        (None, 0.9, "a" * 64, "medical@1 has no metrics of single queries on test"),
        (0.5, None, "a" * 64, "medical@2 has no metrics of single queries on test"),
        (0.5, 0.9, OTHER_DATA, "hold other queries or documents"),
    ],
)
def test_what_cannot_be_compared_fails(tmp_path, champion, candidate, fingerprint, said):
    registry = Registry.open(str(tmp_path / "registry"))
    publish(registry, tmp_path, champion and steady(champion))
    publish(registry, tmp_path, candidate and steady(candidate), fingerprint)
    registry.policies.set(policy(tmp_path, NOT_WORSE))
    (verdict,) = registry.gate("medical")[1].verdicts
    assert not verdict.passed and verdict.text.startswith("cannot be compared") and said in verdict.text


def test_a_set_that_the_version_was_not_measured_on_fails(tmp_path):
    registry = Registry.open(str(tmp_path / "registry"))
    publish(registry, tmp_path, steady(0.5))
    registry.policies.set(policy(tmp_path, "metrics: [{test_set: others, lower_bound: -1}]"))
    assert lines(registry, "medical@1") == {"metrics others mrr@5": False}


def test_under_a_policy_the_first_version_is_promoted_too_and_compared_with_its_base(registry, tmp_path):
    registry.policies.set(policy(tmp_path, NOT_WORSE))
    publish(registry, tmp_path, steady(0.5))
    assert registry.aliases("medical") == {"candidate": 1}
    (verdict,) = registry.gate("medical")[1].verdicts
    assert verdict.passed and "against the base model, as there is no champion yet" in verdict.text
    publish(registry, tmp_path, steady(0.5))
    assert registry.aliases("medical") == {"candidate": 2}
    registry.promote("medical@1")
    assert registry.aliases("medical") == {"champion": 1, "candidate": 2}


OTHER_BASE = BaseModelRecord(name="bge-small-en-v1.5", revision="1", weights_sha256="6" * 64)


@pytest.mark.parametrize(
    ("rule", "changes", "passes"),
    [
        ("guards: true", {}, True),
        ("guards: true", {"improved": False}, False),
        ("guards: true", {"lost_too_much": True}, False),
        ("guards: true", {"extra_test_sets": other_set(lost=True)}, False),
        ("max_bytes: 5", {}, False),
        ("max_bytes: 1000000", {}, True),
        ("max_dimension: 32", {}, True),
        ("max_dimension: 31", {}, False),
        ("max_length: 64", {}, True),
        ("max_length: 63", {}, False),
        ("max_length: 64", {"max_length": None}, False),
        ("base_models: [all-MiniLM-L6-v2]", {}, True),
        ("base_models: [all-MiniLM-L6-v2]", {"base_model": OTHER_BASE}, False),
        ("same_space: true", {}, True),
        ("same_space: true", {"base_model": OTHER_BASE}, False),
        ("same_space: true", {"dimension": 16}, False),
        ("same_space: true", {"pooling": "cls"}, False),
    ],
)
def test_each_rule_passes_or_fails_by_the_record(tmp_path, rule, changes, passes):
    registry = Registry.open(str(tmp_path / "registry"))
    publish(registry, tmp_path, steady(0.5))
    publish(registry, tmp_path, steady(0.6), **changes)
    registry.policies.set(policy(tmp_path, rule))
    assert lines(registry, "medical") == {rule.partition(":")[0]: passes}


def test_another_vector_space_is_promoted_when_it_is_announced(registry, tmp_path):
    publish(registry, tmp_path)
    publish(registry, tmp_path, dimension=16)
    registry.policies.set(policy(tmp_path, "same_space: true"))
    with pytest.raises(GateError, match="dimension 32 becomes 16: `announce_vector_space` is needed"):
        registry.promote("medical")
    registry.promote("medical", announce_vector_space=True)
    assert "announced" in registry.history("medical", CHAMPION)[-1].gate[0]["text"]


def test_force_needs_a_reason_and_the_history_keeps_it_with_every_verdict(registry, tmp_path):
    for _ in range(2):
        publish(registry, tmp_path)
    registry.policies.set(policy(tmp_path, "max_dimension: 8\nguards: true"))
    for why in (None, " "):
        with pytest.raises(GateError, match="`force` needs `why`"):
            registry.promote("medical", why, force=True)
    registry.promote("medical", "the old one is wrong on doses", force=True)
    move = registry.history("medical", CHAMPION)[-1]
    assert (move.previous, move.version, move.kind, move.why, move.forced) == (
        *(1, 2, "promote"),
        "the old one is wrong on doses",
        True,
    )
    assert {line["rule"]: line["passed"] for line in move.gate} == {"guards": True, "max_dimension": False}


def test_force_is_not_recorded_where_nothing_failed(registry, tmp_path):
    for _ in range(2):
        publish(registry, tmp_path)
    registry.promote("medical", "to be sure", force=True)
    assert not registry.history("medical", CHAMPION)[-1].forced


def test_a_policy_of_a_domain_stands_in_place_of_the_registrys(registry, tmp_path):
    for domain in ("medical", "legal"):
        publish(registry, tmp_path, domain=domain)
        publish(registry, tmp_path, domain=domain)
    registry.policies.set(policy(tmp_path, "max_dimension: 8"))
    registry.policies.set(policy(tmp_path, "guards: true"), "legal")
    assert [(each.domain, each.policy.max_dimension) for each in registry.policies.all()] == [
        (None, 8),
        ("legal", None),
    ]
    assert lines(registry, "medical") == {"max_dimension": False}
    assert lines(registry, "legal") == {"guards": True}
    assert registry.policies.remove("legal") and not registry.policies.remove("legal")
    assert lines(registry, "legal") == {"max_dimension": False}
    assert registry.policies.remove()
    assert lines(registry, "legal") == {}


def test_rollback_is_not_gated_but_recorded(registry, tmp_path):
    for _ in range(2):
        publish(registry, tmp_path)
    registry.promote("medical")
    registry.policies.set(policy(tmp_path, "max_dimension: 8"))
    assert registry.rollback("medical", "wrong on doses").version == 1
    move = registry.history("medical", CHAMPION)[-1]
    assert (move.kind, move.previous, move.version, move.why, move.gate) == ("rollback", 2, 1, "wrong on doses", [])


def test_a_retired_version_is_not_promoted_by_force_either(registry, tmp_path):
    for _ in range(2):
        publish(registry, tmp_path)
    registry.retire("medical@2")
    assert lines(registry, "medical@2") == {"retired": False}
    with pytest.raises(GateError, match="it was retired: 'models retire medical@2 --undo'"):
        registry.promote("medical@2", "all the same", force=True)
    assert registry.aliases("medical")["champion"] == 1


def test_a_decision_on_another_champion_is_made_anew(registry, tmp_path, monkeypatch):
    """The champion moves between the decision and the move: what was found of the old one must not count."""
    for value in (0.5, 0.6, 0.9):
        publish(registry, tmp_path, steady(value))
    registry.policies.set(policy(tmp_path, NOT_WORSE))
    real = promotion.decide

    def decide(engine, store, version, announced=False):
        found = real(engine, store, version, announced)
        monkeypatch.setattr(promotion, "decide", real)
        registry.promote("medical@3")
        return found

    monkeypatch.setattr(promotion, "decide", decide)
    with pytest.raises(GateError, match="against the champion medical@3"):
        registry.promote("medical@2")
    assert registry.aliases("medical") == {"champion": 3}


def test_a_policy_of_a_newer_version_promotes_nothing(tmp_path):
    registry = Registry.open(str(tmp_path / "registry"))
    for _ in range(2):
        publish(registry, tmp_path)
    registry.policies.set(Policy())
    write(
        registry._store.engine,
        lambda connection: connection.exec_driver_sql("""UPDATE policies SET policy = '{"new_rule": 1}'"""),
    )
    with pytest.raises(PolicyError, match="policy of the registry cannot be read.*upgrade"):
        registry.promote("medical")


def test_metrics_of_single_queries_that_were_damaged_are_refused():
    from registry import DamagedArtifactError

    for content in (b"", b"[]", b'{"test": {"fingerprint": "x"}}', b'{"test": 1e999}'):
        with pytest.raises(DamagedArtifactError, match=FILE_NAME):
            parse_query_metrics(content, "medical@1")
