"""``train-many``: a file of jobs, of which each mistake is found before anything starts, and what is made of it."""

import json
import os
import re
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from registry import ClusterError, Registry
from registry.cluster.connecting import connected
from router_plugin.cli import app
from router_plugin.cli.config_file import ConfigError
from router_plugin.cli.training_commands.jobs.reading import Job, JobOptions, read_jobs
from router_plugin.cli.training_commands.jobs.running import FINISHED, finished, run_jobs
from tests.training.samples import prepared, run_python, word_pairs

GOOD = "- name: legal\n  data: data\n  min_steps: 1\n"
OPTIONS = {"iterations": 1, "min_steps": 1, "learning_rate": 1e-3, "batch_size": 8, "mix_ratio": 0, "force": True}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with what looks like prepared data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.json").write_text("{}", encoding="utf-8")
    return tmp_path


def read(folder, text):
    (folder / "jobs.yaml").write_text(text, encoding="utf-8")
    return read_jobs(folder / "jobs.yaml", folder / "out", {"register": False})


def test_a_job_is_a_run_of_train_in_a_folder_of_its_own(folder):
    (job,) = read(folder, GOOD + "  cpus: 2\n  gpus: 0.5\n")
    assert (job.name, job.folder, job.cpus, job.gpus) == ("legal", folder / "out" / "legal", 2, 0.5)
    model = str(folder / "out" / "legal" / "model")
    assert job.values == {"domain": "legal", "out": model, "data": ["data"], "min_steps": 1, "register": False}


def test_each_of_several_seeds_is_a_job_of_the_same_domain(folder):
    jobs = read(folder, GOOD + "  seeds: [1, 2]\n")
    assert [(job.name, job.values["domain"], job.values["seeds"]) for job in jobs] == [
        ("legal-seed-1", "legal", [1]),
        ("legal-seed-2", "legal", [2]),
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("{}", 1, "expected a list of jobs"),
        ("[]", 1, "expected a list of jobs"),
        ("- legal\n", 1, "expected options, like 'name: value'"),
        ("- data: data\n", 1, "`name` is missing"),
        ("- name: Legal\n  data: data\n", 1, "domain name 'Legal' is not allowed"),
        ("- name: legal\n", 1, "job legal: `data` is missing: expected a folder that prepare wrote"),
        (GOOD + "  batchsize: 8\n", 4, "unknown option 'batchsize': expected allow_unreadable, "),
        (GOOD + "  out: elsewhere\n", 4, "unknown option 'out'"),
        (GOOD + "  cpus: 0\n", 4, "cpus 0: expected a number greater than 0"),
        (GOOD + "  seeds: 1\n", 4, "seeds 1: expected a list of values"),
        (GOOD + "  seeds: [1]\n  seed: [1]\n", 1, "`seed` gives one model, `seeds` one for each"),
        (GOOD + "  iterations: few\n", 4, "iterations 'few': expected a whole number"),
        (GOOD + "  margin: 0.1\n", 4, "job legal: recipe contrastive has no `margin`"),
        (GOOD + "- name: legal\n  data: data\n", 4, "duplicate name legal"),
        (GOOD.replace("data: data", "data: dota"), 2, "`data` dota: expected a folder that 'domain-router prepare'"),
        (GOOD + "  guard: [other=dota]\n", 4, "job legal: `guards` dota: expected a folder"),
    ],
)
def test_a_mistake_is_named_with_its_line(folder, text, line, said):
    with pytest.raises(ConfigError, match=rf"jobs\.yaml, line {line}: .*{re.escape(said)}"):
        read(folder, text)


def test_a_device_is_a_matter_of_the_machine_that_trains(folder):
    assert read(folder, GOOD + "  device: cuda:7\n")[0].values["device"] == "cuda:7"


def test_a_mistake_in_any_job_ends_the_command_before_anything_is_written(folder):
    (folder / "jobs.yaml").write_text(GOOD + "- name: medical\n  data: dota\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["train-many", "jobs.yaml", "--out", "out"])
    assert done.exit_code == 2 or "line 5" in str(done.exception)
    assert not (folder / "out").exists()


def test_only_names_of_jobs_can_be_chosen(folder):
    (folder / "jobs.yaml").write_text(GOOD, encoding="utf-8")
    done = CliRunner().invoke(app, ["train-many", "jobs.yaml", "--out", "out", "--only", "medical"])
    assert "--only medical: no such job: expected legal" in str(done.exception)


def test_every_option_of_a_job_is_described():
    assert all(field.description for field in JobOptions.model_fields.values())


RUN = """
import json, sys
from pathlib import Path
from router_plugin.cli.training_commands.jobs.reading import read_jobs
from router_plugin.cli.training_commands.jobs.running import run_job
(job,) = read_jobs(Path("jobs.yaml"), Path("out"), {"register": False})
Path("result.json").write_text(json.dumps(run_job(job, Path.cwd()).model_dump()))
"""


@pytest.fixture
def real(tmp_path, tiny_base, monkeypatch):
    """The current folder, with data that a tiny model can learn, and a file of one job."""
    monkeypatch.chdir(tmp_path)
    prepared(word_pairs(), tmp_path / "data", test_size=0.3)
    job = {"name": "legal", "data": "data", "base_model": str(tiny_base.path), "device": "cpu", **OPTIONS}
    (tmp_path / "jobs.yaml").write_text(yaml.safe_dump([job]), encoding="utf-8")
    return tmp_path


def run_there(folder):
    """Run the job of a folder in a process of its own, as a worker of the cluster does."""
    done = run_python(f"import os\nos.chdir({str(folder)!r})\n{RUN}")
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_finished_job_is_known_until_its_options_or_its_data_change(real):
    result = run_there(real)
    assert (result["state"], result["error"]) == ("finished", None)
    assert result["adapted"].keys() == result["base"].keys() and "ndcg@10" in result["base"]
    (job,) = read_jobs(real / "jobs.yaml", real / "out", {"register": False})
    assert finished(job).model_dump() == result
    done = CliRunner().invoke(app, ["train-many", "jobs.yaml", "--out", "out"])
    assert done.exit_code == 0 and "finished before" in done.output
    done = CliRunner().invoke(app, ["train-many", "jobs.yaml", "--out", "out", "--json"])
    assert json.loads(done.stdout) == {"jobs": [{**result, "ran": False}]}
    (other,) = read_jobs(real / "jobs.yaml", real / "out", {"register": True})
    assert finished(other) is None
    manifest = real / "data" / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert finished(job) is None


@pytest.mark.slow
def test_a_failed_job_says_why_also_in_its_log_and_is_not_finished(real):
    with (real / "data" / "corpus.jsonl").open("a", encoding="utf-8") as corpus:
        corpus.write(" ")
    result = run_there(real)
    assert result["state"] == "failed" and "the files were changed after they were prepared" in result["error"]
    log = (real / "out" / "legal" / "log.txt").read_text(encoding="utf-8")
    assert f"error: {result['error']}" in log
    assert not (real / "out" / "legal" / FINISHED).exists()


@pytest.mark.slow
def test_jobs_fail_each_by_itself_and_one_that_takes_too_much_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'domain-router[ray]'")
    monkeypatch.chdir(tmp_path)
    values = {"data": ["data"], "domain": "legal", "recipe": "none"}
    jobs = [
        Job(name, tmp_path / name, cpus, 0, {**values, "out": str(tmp_path / name / "model")})
        for name, cpus in (("first", 1), ("second", 1), ("large", 3))
    ]
    heard = []
    with connected("local", 1):
        found = run_jobs(jobs[:2], heard.append)
        with pytest.raises(ClusterError, match="no room for job large: 3 cores needed, 1 core on 1 machine: lower its"):
            run_jobs(jobs, heard.append)
    assert list(found) == ["first", "second"] and sorted(each.name for each in heard) == ["first", "second"]
    assert all(result.state == "failed" and "none" in result.error for result in found.values())
    assert all(Path(result.log).read_text(encoding="utf-8").startswith("error: ") for result in found.values())


@pytest.fixture
def three(tmp_path, tiny_base, monkeypatch):
    """The current folder, with a file of three jobs, of which the data of one are damaged."""
    monkeypatch.chdir(tmp_path)
    jobs = []
    for name in ("legal", "medical", "finance"):
        prepared(word_pairs(), tmp_path / name, test_size=0.3)
        jobs.append({"name": name, "data": name, "base_model": str(tiny_base.path), "device": "cpu", **OPTIONS})
    jobs[2] |= {"min_steps": 40, "max_epochs": 40}
    (tmp_path / "jobs.yaml").write_text(yaml.safe_dump(jobs), encoding="utf-8")
    return tmp_path


def kill_writer(log):
    """Kill the process whose standard output is a file, as soon as there is one, and it trains."""
    while not list(log.parent.glob(".model.run/*-examples.json")):
        time.sleep(0.05)
    for link in Path("/proc").glob("[0-9]*/fd/1"):
        with suppress(OSError):
            if link.readlink() == log:
                os.kill(int(link.parts[2]), signal.SIGKILL)


@pytest.mark.ray
def test_three_domains_of_which_one_fails_and_one_is_killed(three):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'domain-router[ray]'")
    corpus = three / "medical" / "corpus.jsonl"
    whole = corpus.read_bytes()
    corpus.write_bytes(whole + b" ")
    killer = threading.Thread(target=kill_writer, args=(three / "out" / "finance" / "log.txt",), daemon=True)
    killer.start()
    command = ["train-many", "jobs.yaml", "--out", "out", "--register", "--registry", "registry"]
    with connected("local", 3):
        done = CliRunner().invoke(app, [*command, "--json"])
        assert done.exit_code == 1
        assert not killer.is_alive()
        found = {job["name"]: job for job in json.loads(done.stdout)["jobs"]}
        assert {name: job["state"] for name, job in found.items()} == {
            "legal": "finished",
            "medical": "failed",
            "finance": "finished",
        }
        assert "the files were changed after they were prepared" in found["medical"]["error"]
        assert "resuming" in (three / "out" / "finance" / "log.txt").read_text(encoding="utf-8")
        corpus.write_bytes(whole)
        done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert done.output.count("finished before") == 2
    assert sorted(version.name for version in Registry("registry").versions()) == [
        "finance@1",
        "legal@1",
        "medical@1",
    ]
