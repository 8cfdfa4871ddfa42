"""What many processes at once and kills must not break; benchmarks/registry_trust.py has the long run."""

import pytest

from benchmarks.registry_trust import killed, published_at_once
from tests.registry import servers

KILLS = 4


@pytest.mark.slow
def test_processes_that_publish_at_once_lose_no_version_and_leave_no_gap(registry_url, tmp_path):
    assert published_at_once(registry_url, tmp_path, 4, 5) | {"seconds": 0} == {
        "versions": 20,
        "wrong": [],
        "seconds": 0,
    }


@pytest.mark.slow
def test_kills_at_random_instants_break_nothing(registry_url, tmp_path):
    assert killed(registry_url, tmp_path, KILLS, 0, None) == {"kills": KILLS, "restarts": 0, "faults": []}


@pytest.mark.slow
def test_a_postgresql_that_crashes_and_comes_back_breaks_nothing(tmp_path):
    with servers.postgresql() as server, servers.new_database(server) as database:
        url = f"{database}&artifacts={tmp_path}/artifacts"
        found = killed(url, tmp_path, 2, 1, lambda: servers.restart(server), each=2)
    assert found == {"kills": 2, "restarts": 1, "faults": []}
