"""Publishing: version numbers, first aliases, records that are read back unchanged, parents, and observers."""

import json
import logging
import math
import shutil
from datetime import datetime, timedelta, timezone
from importlib.metadata import version as distribution_version
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import update

from registry import NotRegisteredError, Observer, Profile, Registry, RegistryError
from registry.records import ComparisonRecord, EvaluationRecord, ModelRecord
from registry.storage.tables import model_versions
from tests.registry.samples import FILES, make_record, make_report, write_model

NUMBERS = st.floats(0, 1, allow_nan=False)
METRICS = st.dictionaries(
    st.sampled_from(["dev", "test"]), st.dictionaries(st.sampled_from(["mrr@5", "recall@5"]), NUMBERS), min_size=1
)
OPTIONS = st.dictionaries(
    st.text(max_size=8),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    max_size=4,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder of a few bytes."""
    return write_model(tmp_path / "model")


class Listener(Observer):
    """Records its notifications."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def version_published(self, version):
        self.heard.append(("published", version.name))

    def alias_moved(self, domain, alias, version, previous):
        self.heard.append(("moved", domain, alias, version, previous))


def test_the_first_version_becomes_champion_and_a_later_one_candidate(registry: Registry, folder):
    registry.publish(folder, make_record())
    assert registry.aliases("medical") == {"champion": 1}
    registry.publish(folder, make_record())
    assert registry.aliases("medical") == {"champion": 1, "candidate": 2}
    registry.publish(folder, make_record())
    assert registry.aliases("medical") == {"champion": 1, "candidate": 3}
    assert registry.get("medical").version == 1
    assert registry.get("medical@candidate").version == 3


def test_versions_count_from_one_in_each_domain(registry: Registry, folder):
    published = [registry.publish(folder, make_record(domain)).name for domain in ("law", "art", "law", "law", "art")]
    assert published == ["law@1", "art@1", "law@2", "law@3", "art@2"]
    assert [version.name for version in registry.versions()] == ["art@1", "art@2", "law@1", "law@2", "law@3"]
    assert [version.name for version in registry.versions("art")] == ["art@1", "art@2"]
    assert [version.name for version in registry.versions("law", (3, 1, 9))] == ["law@1", "law@3"]
    assert [version.name for version in registry.champions()] == ["art@1", "law@1"]


def test_a_record_is_read_back_unchanged(registry: Registry, folder):
    before = datetime.now(timezone.utc)
    record = make_record()
    version = registry.publish(folder, record)
    assert registry.get("medical@1") == version
    assert registry.versions() == [version] == registry.champions()
    assert ModelRecord(**{name: getattr(version, name) for name in ModelRecord.model_fields}) == record
    assert before <= version.created <= datetime.now(timezone.utc)
    assert version.created.utcoffset() == timedelta(0)
    assert version.author and version.code_version == distribution_version("domain-router")
    assert {file.path for file in version.files} == set(FILES)
    assert version.size == sum(len(text) for text in FILES.values())


@given(options=OPTIONS, base=METRICS, adapted=METRICS, max_length=st.none() | st.integers(1, 9999), flag=st.booleans())
@settings(max_examples=6)
def test_any_record_is_read_back_unchanged(registry: Registry, folder, options, base, adapted, max_length, flag):
    record = make_record(
        options=options,
        base_metrics=base,
        adapted_metrics=adapted,
        max_length=max_length,
        normalized=flag,
        improved=flag,
    )
    version = registry.publish(folder, record)
    assert registry.get(version.name) == version
    assert ModelRecord(**{name: getattr(version, name) for name in ModelRecord.model_fields}) == record


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_record_with_a_figure_that_is_not_finite_cannot_be_made(number):
    """JSON has no such number, so that not every database would keep the record, and no page could be made of it."""
    metrics, comparison = (
        {"dev": {"mrr@5": 0.5}, "test": {"mrr@5": number}},
        {"difference": number, "low": 0, "high": 1},
    )
    for changed in ({"base_metrics": metrics}, {"adapted_metrics": metrics}, {"max_loss": number}):
        with pytest.raises(ValidationError, match="finite number"):
            make_record(**changed)
    with pytest.raises(ValidationError, match="finite number"):
        ComparisonRecord(**comparison, p_value=0.5)
    with pytest.raises(ValidationError, match="finite number"):
        EvaluationRecord(fingerprint="a" * 64, queries=1, base={"mrr@5": 0.5}, adapted={"mrr@5": number})


def test_a_version_published_before_other_sets_were_measured_still_loads(registry: Registry, folder):
    new = registry.publish(folder, make_record())
    old = new.model_dump(
        mode="json",
        exclude={"comparison", "max_loss", "lost_too_much", "extra_test_sets", "judge", "hybrid", "ranking"},
    )
    with registry._store.engine.begin() as connection:
        connection.execute(update(model_versions).values(record=old))
    version = registry.get(new.name)
    assert (version.comparison, version.extra_test_sets) == ({}, {})
    assert (version.max_loss, version.lost_too_much) == (None, False)
    assert version.judge is None
    assert (version.hybrid, version.ranking) == ({}, "model")
    assert list(version.evaluations) == ["test"]
    assert version.base_metrics == new.base_metrics
    assert registry.publish(folder, make_record()).version == 2


def test_a_record_of_another_build_is_refused_by_name_with_advice(registry: Registry, folder):
    record = registry.publish(folder, make_record()).model_dump(mode="json")
    with registry._store.engine.begin() as connection:
        connection.execute(update(model_versions).values(record={**record, "invented_later": 1}))
    for read in (registry.versions, registry.champions, lambda: registry.get("medical")):
        with pytest.raises(RegistryError, match="medical@1 in .*invented_later.*another build .*upgrade"):
            read()


def test_the_test_sets_of_a_version_begin_with_the_domains_own(registry: Registry, folder):
    version = registry.publish(folder, make_record())
    assert list(version.evaluations) == ["test", "real-questions"]
    assert version.evaluations["test"].adapted == version.adapted_metrics["test"]
    assert version.evaluations["test"].comparison == version.comparison


def test_a_version_cannot_be_changed(registry: Registry, folder):
    version = registry.publish(folder, make_record())
    with pytest.raises(ValueError, match="frozen"):
        version.version = 2
    version.options["learning_rate"] = 1.0
    assert registry.get("medical@1").options["learning_rate"] == 5e-5


def test_publishing_leaves_the_source_folder_untouched(registry: Registry, folder):
    def snapshot():
        return {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in folder.rglob("*")}

    before = snapshot()
    registry.publish(folder, make_record())
    assert snapshot() == before


def test_a_version_does_not_depend_on_its_source_folder(registry: Registry, folder):
    version = registry.publish(folder, make_record())
    (folder / "model.safetensors").write_text("others")
    assert (registry.fetch(version) / "model.safetensors").read_text() == "weights"
    shutil.rmtree(folder)
    assert registry.verify(version) == []


def test_linked_files_are_published_as_their_targets(registry: Registry, folder, tmp_path):
    (tmp_path / "blob").write_text("blob")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")
    version = registry.publish(folder, make_record())
    (tmp_path / "blob").write_text("other")
    assert (registry.fetch(version) / "model.safetensors").read_text() == "blob"


def test_a_linked_folder_is_never_silently_left_out(registry: Registry, folder, tmp_path):
    (folder / "1_Pooling").rename(tmp_path / "pooling")
    (folder / "1_Pooling").symlink_to(tmp_path / "pooling", target_is_directory=True)
    try:
        version = registry.publish(folder, make_record())
    except RegistryError as error:
        assert "1_Pooling" in str(error)
    else:
        assert "1_Pooling/config.json" in {file.path for file in version.files}


def test_the_parent_is_the_champion_at_the_time_of_publishing(registry: Registry, folder):
    assert registry.publish(folder, make_record()).parent is None
    assert registry.publish(folder, make_record()).parent == 1
    assert registry.publish(folder, make_record()).parent == 1
    registry.promote("medical@3")
    assert registry.publish(folder, make_record()).parent == 3
    registry.rollback("medical")
    assert registry.publish(folder, make_record()).parent == 1
    assert registry.get("medical@4").parent == 3


def test_a_folder_that_is_missing_or_a_file_is_refused_by_name(registry: Registry, tmp_path):
    (tmp_path / "file").write_text("x")
    for name in ("missing", "file"):
        with pytest.raises(RegistryError, match=str(tmp_path / name)):
            registry.publish(tmp_path / name, make_record())
    assert registry.versions() == []


def test_an_empty_folder_is_refused(registry: Registry, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RegistryError, match=str(tmp_path / "empty")):
        registry.publish(tmp_path / "empty", make_record())
    assert registry.versions() == []


def test_observers_are_notified_after_every_change(tmp_path, folder):
    listener = Listener()
    registry = Registry.open(str(tmp_path / "registry"), listener)
    registry.publish(folder, make_record())
    registry.publish(folder, make_record())
    registry.promote("medical")
    registry.promote("medical@2")
    registry.rollback("medical")
    assert listener.heard == [
        ("published", "medical@1"),
        ("moved", "medical", "champion", 1, None),
        ("published", "medical@2"),
        ("moved", "medical", "candidate", 2, None),
        ("moved", "medical", "champion", 2, 1),
        ("moved", "medical", "champion", 1, 2),
    ]


def test_an_observer_can_read_the_change_it_is_notified_of(tmp_path, folder):
    seen = []

    class Reader(Observer):
        def version_published(self, version):
            seen.append(registry.get(version.name) == version)

        def alias_moved(self, domain, alias, version, previous):
            seen.append(registry.aliases(domain)[alias] == version)

    registry = Registry.open(str(tmp_path / "registry"), Reader())
    registry.publish(folder, make_record())
    assert seen == [True, True]


def test_a_failing_observer_is_logged_and_nothing_is_lost(tmp_path, folder, caplog):
    class Broken(Observer):
        def version_published(self, version):
            raise RuntimeError("no ears for a version")

        def alias_moved(self, domain, alias, version, previous):
            raise RuntimeError("no ears for an alias")

    registry = Registry.open(str(tmp_path / "registry"), Broken())
    with caplog.at_level(logging.ERROR):
        first = registry.publish(folder, make_record())
        second = registry.publish(folder, make_record())
        assert registry.promote("medical") == second
        assert registry.rollback("medical") == first
    assert registry.versions() == [first, second]
    assert registry.aliases("medical") == {"champion": 1}
    assert "no ears for a version" in caplog.text and "no ears for an alias" in caplog.text


def test_the_error_for_an_unknown_reference_lists_known_ones(registry: Registry, folder):
    with pytest.raises(NotRegisteredError, match="the registry is empty"):
        registry.get("medical")
    registry.publish(folder, make_record("law"))
    registry.publish(folder, make_record("art"))
    registry.publish(folder, make_record("art"))
    with pytest.raises(NotRegisteredError, match="unknown model medical in .*registered domains are art, law"):
        registry.get("medical")
    with pytest.raises(NotRegisteredError, match="unknown model art@3 in .*art@1, art@2; candidate is 2"):
        registry.get("art@3")
    with pytest.raises(NotRegisteredError, match="unknown model art@best in .*art@1, art@2; candidate is 2"):
        registry.get("art@best")
    assert registry.versions("medical") == []
    assert registry.aliases("medical") == {}


def test_a_record_with_paths_outside_its_folder_is_refused(tmp_path, folder):
    import sqlite3

    registry = Registry.open(str(tmp_path / "registry"))
    registry.publish(folder, make_record())
    registry.close()
    with sqlite3.connect(tmp_path / "registry" / "registry.db") as database:
        (text,) = database.execute("SELECT record FROM model_versions").fetchone()
        record = json.loads(text)
        record["files"][0]["path"] = "../../secret"
        database.execute("UPDATE model_versions SET record = ?", (json.dumps(record),))
    with pytest.raises(RegistryError, match="record of medical@1 in .*not allowed"):
        Registry.open(str(tmp_path / "registry")).get("medical")


def test_a_trained_folder_is_published_only_if_it_beat_its_base(registry: Registry, folder):
    from training import TrainingError, publish

    def write_report(**changes):
        record = make_record(**changes)
        make_report(record).save(folder)

    Profile.from_queries(["a query"], lambda texts: np.ones((len(texts), 1), np.float32), "5" * 64).save(folder)
    write_report(improved=False)
    with pytest.raises(TrainingError, match=f"{folder}.*`force`"):
        publish(folder, registry)
    assert registry.versions() == []
    assert publish(folder, registry, force=True).name == "medical@1"
    write_report(improved=True)
    version = publish(folder, registry)
    assert version.parent == 1
    assert registry.get("medical@2") == version
    assert (version.options, version.judge) == (make_record().options, make_record().judge)
    assert "report.json" in {file.path for file in version.files}


@pytest.mark.parametrize("report", [None, "", "[]", "null", "{", '{"domain": "medical"}', "\udc80"])
def test_a_folder_with_an_incomplete_report_is_not_published(registry: Registry, folder, report):
    from training import TrainingError, publish

    if report is not None:
        (folder / "report.json").write_bytes(report.encode("utf-8", "surrogateescape"))
    with pytest.raises(TrainingError) as error:
        publish(folder, registry)
    assert str(folder) in str(error.value) and "report" in str(error.value)
    assert registry.versions() == []


def test_a_version_is_found_by_the_content_of_its_folder(registry: Registry, folder, tmp_path):
    assert registry.find_by_content(folder) is None
    published = [registry.publish(folder, make_record()) for _ in range(2)]
    registry.publish(write_model(tmp_path / "other", "other weights"), make_record())
    assert registry.find_by_content(folder) == published[-1]
    (folder / "modules.json").write_text("[1]", encoding="utf-8")
    assert registry.find_by_content(folder) is None
