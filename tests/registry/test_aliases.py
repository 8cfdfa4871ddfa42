"""Promotion and rollback in every order, and their errors."""

from itertools import count
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry import InvalidNameError, NotRegisteredError, Observer, Registry
from tests.registry.samples import make_record, write_model

STEPS = st.lists(st.just("publish") | st.just("rollback") | st.integers(1, 4), max_size=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder of a few bytes."""
    return write_model(tmp_path / "model")


@pytest.fixture
def three(registry: Registry, folder) -> Registry:
    """Three versions of ``medical``; the first is the champion."""
    for _ in range(3):
        registry.publish(folder, make_record())
    return registry


def test_a_promoted_candidate_is_no_longer_the_candidate(three: Registry):
    assert three.promote("medical").version == 3
    assert three.aliases("medical") == {"champion": 3}
    assert three.get("medical").version == 3


def test_promoting_another_version_leaves_the_candidate(three: Registry):
    assert three.promote("medical@2").version == 2
    assert three.aliases("medical") == {"champion": 2, "candidate": 3}


def test_promoting_the_champion_changes_nothing_and_can_be_repeated(three: Registry):
    three.promote("medical@2")
    for _ in range(3):
        assert three.promote("medical@2").version == 2
        assert three.promote("medical@champion").version == 2
    assert three.rollback("medical").version == 1


def test_the_error_for_a_missing_candidate_lists_known_versions(three: Registry):
    three.promote("medical")
    with pytest.raises(NotRegisteredError, match="medical@candidate.*medical@1, medical@2, medical@3; champion is 3"):
        three.promote("medical")


def test_unknown_versions_and_domains_are_not_promoted(three: Registry):
    for reference in ("medical@4", "medical@best", "law@1", "law"):
        with pytest.raises(NotRegisteredError, match=reference):
            three.promote(reference)
    assert three.aliases("medical") == {"champion": 1, "candidate": 3}


def test_repeated_rollback_goes_back_one_at_a_time(three: Registry):
    three.promote("medical@2")
    three.promote("medical@3")
    assert three.rollback("medical").version == 2
    assert three.rollback("medical").version == 1
    with pytest.raises(NotRegisteredError, match="medical has no earlier champion.*champion is 1"):
        three.rollback("medical")
    assert three.get("medical").version == 1


def test_repeated_rollback_ends_if_a_version_was_champion_twice(three: Registry):
    for version in (2, 1, 2):
        three.promote(f"medical@{version}")
    assert [three.rollback("medical").version for _ in range(3)] == [1, 2, 1]
    with pytest.raises(NotRegisteredError, match="no earlier champion"):
        three.rollback("medical")


def test_rollback_after_a_rollback_and_a_promotion_undoes_only_the_promotion(three: Registry):
    three.promote("medical@2")
    three.rollback("medical")
    three.promote("medical@3")
    assert three.rollback("medical").version == 1
    with pytest.raises(NotRegisteredError, match="no earlier champion"):
        three.rollback("medical")


def test_the_error_for_rollback_without_an_earlier_champion_lists_known_versions(registry: Registry, folder):
    with pytest.raises(NotRegisteredError, match="the registry is empty"):
        registry.rollback("medical")
    registry.publish(folder, make_record("law"))
    with pytest.raises(NotRegisteredError, match="registered domains are law"):
        registry.rollback("medical")
    with pytest.raises(NotRegisteredError, match="law has no earlier champion.*law@1; champion is 1"):
        registry.rollback("law")
    with pytest.raises(InvalidNameError, match="law@1"):
        registry.rollback("law@1")


def test_a_failed_rollback_leaves_the_registry_writable(registry: Registry, folder):
    registry.publish(folder, make_record())
    with pytest.raises(NotRegisteredError):
        registry.rollback("medical")
    assert registry.publish(folder, make_record()).version == 2


def test_domains_do_not_touch_each_other(three: Registry, folder):
    three.publish(folder, make_record("law"))
    three.promote("medical@2")
    three.promote("medical@3")
    three.rollback("medical")
    assert three.aliases("law") == {"champion": 1}
    assert [version.name for version in three.champions()] == ["law@1", "medical@2"]


def test_promoting_the_champion_notifies_nobody(tmp_path, folder):
    moves = []

    class Listener(Observer):
        def alias_moved(self, domain, alias, version, previous):
            moves.append((alias, version, previous))

    registry = Registry.open(str(tmp_path / "registry"), Listener())
    registry.publish(folder, make_record())
    registry.promote("medical@1")
    assert moves == [("champion", 1, None)]


fresh = count()


@given(steps=STEPS)
@example(steps=["publish", "publish", 2, 1, "rollback", "rollback", "rollback"])
@example(steps=["publish", "publish", "publish", 2, 3, 2, "rollback", "rollback", "rollback"])
@settings(max_examples=12)
def test_the_champion_is_the_top_of_a_stack_in_any_order_of_steps(registry: Registry, folder, steps):
    domain, versions, champions, candidate = f"d{next(fresh)}", 0, [], None
    for step in steps:
        if step == "publish":
            versions += 1
            registry.publish(folder, make_record(domain))
            if champions:
                candidate = versions
            else:
                champions.append(versions)
        elif step == "rollback":
            if len(champions) < 2:
                with pytest.raises(NotRegisteredError):
                    registry.rollback(domain)
            else:
                champions.pop()
                assert registry.rollback(domain).version == champions[-1]
        elif step > versions:
            with pytest.raises(NotRegisteredError):
                registry.promote(f"{domain}@{step}")
        else:
            registry.promote(f"{domain}@{step}")
            if step != champions[-1]:
                champions.append(step)
            candidate = None if candidate == step else candidate
        expected = {"champion": champions[-1] if champions else None, "candidate": candidate}
        assert registry.aliases(domain) == {alias: number for alias, number in expected.items() if number}
