"""The history of aliases: complete, append-only on every store, and asked for any time."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from registry import ChangedError, InvalidNameError, Mover, Registry, RegistryError
from registry.aliasing.history import Move, at
from registry.aliasing.moves import author
from registry.catalog.differences import differences
from registry.records import DatasetRecord
from tests.registry.samples import make_record, write_model


@pytest.fixture
def moved(registry: Registry, tmp_path) -> Registry:
    """Two versions, of which the second was promoted and taken back."""
    for number in (1, 2):
        registry.publish(write_model(tmp_path / "model", str(number)), make_record(), why=f"run {number}")
    registry.promote("medical", "better on doses")
    registry.rollback("medical", "worse on children")
    return registry


def test_every_move_is_kept_with_who_when_from_to_and_why(moved: Registry):
    found = moved.history("medical")
    assert [(move.alias, move.previous, move.version, move.kind, move.why) for move in found] == [
        ("champion", None, 1, "publish", "run 1"),
        ("candidate", None, 2, "publish", "run 2"),
        ("champion", 1, 2, "promote", "better on doses"),
        ("candidate", 2, None, "promote", "better on doses"),
        ("champion", 2, 1, "rollback", "worse on children"),
    ]
    known = "" if moved.url.startswith("sqlite") else " as postgres"
    assert {move.author for move in found} == {author() + known}
    assert all(move.moved.utcoffset() == timedelta(0) for move in found)
    assert sorted(found, key=lambda move: move.moved) == found
    assert [move.version for move in moved.history("medical", "champion")] == [1, 2, 1]
    assert moved.history("law") == []


def test_a_move_on_behalf_of_somebody_has_that_name_beside_the_process(moved: Registry):
    moved.promote("medical@2", "again", mover=Mover("anna"))
    moved.rollback("medical", "no", mover=Mover("ben"))
    known = "" if moved.url.startswith("sqlite") else " as postgres"
    authors = [move.author for move in moved.history("medical")[-2:]]
    assert authors == [f"{name} through {author()}{known}" for name in ("anna", "ben")]


@pytest.mark.parametrize("name", ["", "a" * 101, "a\nb", "a\x1b[2J", "a\u202eb"])
def test_a_mover_has_a_name_that_can_be_printed(name):
    with pytest.raises(RegistryError, match="printable"):
        Mover(name)


def test_nothing_moves_where_the_champion_is_another_than_was_seen(moved: Registry):
    before = moved.history("medical")
    for change in (
        lambda: moved.promote("medical@2", replacing=2),
        lambda: moved.promote("medical@2", replacing=0),
        lambda: moved.rollback("medical", replacing=2),
    ):
        with pytest.raises(ChangedError, match="is medical@1 now: nothing was changed"):
            change()
    assert moved.history("medical") == before
    for _ in range(2):  # the second time it is the champion already
        assert moved.promote("medical@2", replacing=1).version == 2
    assert len(moved.history("medical")) == len(before) + 1
    with pytest.raises(ChangedError, match="the champion of law was removed"):
        moved.rollback("law", replacing=1)


def test_what_a_rollback_restores_is_known_before(moved: Registry, tmp_path):
    assert moved.earlier_champion("medical") is None
    moved.promote("medical@2")
    assert moved.earlier_champion("medical").name == "medical@1"
    moved.retire("medical@1")
    assert moved.earlier_champion("medical") is None
    assert moved.earlier_champion("law") is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alias_moves SET author = 'somebody'",
        "UPDATE alias_moves SET id = 99 WHERE id = 1",
        "DELETE FROM alias_moves WHERE id = 1",
        "DELETE FROM alias_moves",
    ],
)
def test_what_was_recorded_is_neither_changed_nor_deleted(moved: Registry, statement):
    before = moved.history("medical")
    with moved._store.engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.exec_driver_sql(statement)
    assert moved.history("medical") == before and len(before) == 5


def test_no_recorded_move_is_replaced_in_sqlite(tmp_path):
    """``INSERT OR REPLACE`` deletes a row without any trigger on DELETE."""
    registry = Registry.open(str(tmp_path / "registry"))
    registry.publish(write_model(tmp_path / "model"), make_record())
    with registry._store.engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.exec_driver_sql(
            "INSERT OR REPLACE INTO alias_moves (id, domain, alias, version, kind, moved, author) "
            "SELECT id, domain, alias, 7, kind, moved, author FROM alias_moves"
        )
    assert [move.version for move in registry.history("medical")] == [1]


def test_what_aliases_referred_to_is_known_for_any_time(moved: Registry):
    times = [move.moved for move in moved.history("medical")]
    assert moved.at("medical", times[0] - timedelta(seconds=1)) == {}
    assert moved.at("medical", times[0]) == {"champion": 1}
    assert moved.at("medical", times[1]) == {"champion": 1, "candidate": 2}
    assert moved.at("medical", times[3]) == {"champion": 2}
    assert moved.at("medical", times[4]) == moved.aliases("medical") == {"champion": 1}


def test_a_time_without_a_zone_is_in_utc_wherever_the_machine_is(moved: Registry, monkeypatch):
    last = moved.history("medical")[-1].moved
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert moved.at("medical", last.replace(tzinfo=None)) == {"champion": 1}
        assert moved.at("medical", last.astimezone(timezone(timedelta(hours=-8)))) == {"champion": 1}
        assert moved.at("medical", (last - timedelta(hours=1)).replace(tzinfo=None)) == {}
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_clock_that_is_slow_hides_no_later_move():
    noon = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
    moves = [
        Move(domain="medical", alias="champion", version=number, previous=None, kind="promote", author="a", why=None,
             moved=noon + timedelta(minutes=minutes), gate=[], forced=False)
        for number, minutes in ((1, 0), (2, 5), (3, 1))
    ]  # fmt: skip
    assert at(moves, noon + timedelta(minutes=2)) == {"champion": 3}
    assert at(moves, noon + timedelta(minutes=9)) == {"champion": 3}


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["publish", "promote", "rollback"]), max_size=8), st.integers(0, 7))
def test_at_the_time_of_each_move_the_history_says_what_the_aliases_said(tmp_path_factory, steps, when):
    place = tmp_path_factory.mktemp("history")
    registry, folder = Registry.open(str(place / "registry")), write_model(place / "model")
    seen = []
    for step in steps:
        try:
            if step == "publish":
                registry.publish(folder, make_record())
            else:
                getattr(registry, step)("medical")
        except LookupError:
            continue
        seen.append((datetime.now(timezone.utc), registry.aliases("medical")))
    for moment, aliases in seen[when : when + 1]:
        assert registry.at("medical", moment) == aliases
    registry.close()


@pytest.mark.parametrize("name", ["../x", "a" * 300, "mediсal", "x'; DROP TABLE aliases; --", "a\x00b", "a\x1b[2J"])
def test_invalid_names_have_no_history(registry: Registry, name):
    for call in (lambda: registry.history(name), lambda: registry.history("medical", name)):
        with pytest.raises(InvalidNameError):
            call()


def test_two_versions_differ_in_what_was_changed_and_nothing_else(moved: Registry, tmp_path):
    folder = write_model(tmp_path / "other", "2")
    (folder / "added.json").write_text("{}")
    (folder / "modules.json").write_text("[1]")
    record = make_record(
        dimension=16,
        options={**make_record().options, "iterations": 3, "new": 1},
        mixed={"chat": DatasetRecord(fingerprint="c" * 64, counts={"pairs": 5})},
        adapted_metrics={"dev": {"mrr@5": 0.2}, "test": {"mrr@5": 0.5}},
        ranking="model",
    )
    third = moved.publish(folder, record)
    found = differences(moved.get("medical@2"), third)
    pairs = {name: (each.before, each.after) for name, each in {**found.options, **found.vector_space}.items()}
    assert pairs == {"iterations": (2, 3), "new": (None, 1), "dimension": (32, 16)}
    assert {name: each.after for name, each in found.data.items()} == {
        "mixed.chat.fingerprint": "c" * 64,
        "mixed.chat.pairs": 5,
    }
    assert found.base_model == {} and found.recipe is None
    assert found.ranking and (found.ranking.before, found.ranking.after) == ("hybrid", "model")
    digests = [{file.path: file.sha256 for file in each.files} for each in (moved.get("medical@2"), third)]
    assert {name: (each.before, each.after) for name, each in found.files.items()} == {
        "added.json": (None, digests[1]["added.json"]),
        "modules.json": (digests[0]["modules.json"], digests[1]["modules.json"]),
    }
    change = found.metrics["test"]["mrr@5"]
    assert change.difference == pytest.approx(0.5 - 2 / 3) and change.same_data
    assert found.metrics["real-questions"]["mrr@5"].difference == 0
    assert differences(third, third).model_dump(include={"options", "data", "vector_space", "files"}) == {
        **{"options": {}, "data": {}},
        **{"vector_space": {}, "files": {}},
    }


@pytest.mark.parametrize("why", ["x" * 2001, "a\0b", "\udcff", "\x1b[2J"])
def test_a_reason_that_cannot_be_shown_is_refused_on_every_store(registry: Registry, tmp_path, why):
    registry.publish(write_model(tmp_path / "model"), make_record())
    with pytest.raises(RegistryError, match="`why` may have 2,000 characters"):
        registry.alias("medical@1", "staging", why)
    assert registry.aliases("medical") == {"champion": 1}
