"""The jobs of ``train-many`` on a cluster of Ray: each in a process of its own, with its own log."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from typer.exceptions import TyperException

from registry import DomainRouterError
from registry.cluster.room import Need, check_room, say_if_waiting, say_wait
from registry.records import TEST, Record
from registry.shared.outputs import make_folder, write_atomically
from registry.shared.wording import last_line
from router_plugin.cli.printing import quiet_libraries
from router_plugin.cli.training_commands.jobs.reading import Job, train_command

LOG = "log.txt"
FINISHED = "finished.json"
RESTARTS = 3
"""How often a job goes on whose process was killed, by itself or for want of memory."""

log = logging.getLogger(__name__)


class JobResult(Record):
    """What became of a job."""

    name: str
    state: Literal["finished", "failed"]
    model: str = Field(description="folder of the model")
    log: str = Field(description="what the job said")
    seconds: float = Field(description="of its last run")
    error: str | None = Field(None, description="why it failed")
    chosen: str | None = Field(None, description="the state of the model that was kept")
    base: dict[str, float] = Field(default_factory=dict, description="metrics of the base model on the test split")
    adapted: dict[str, float] = Field(default_factory=dict, description="metrics of the chosen model")
    registered: str | None = Field(None, description="the version")


def finished(job: Job) -> JobResult | None:
    """The result of a job that has finished, with the same options and the same data; None if it has not."""
    try:
        kept = json.loads((job.folder / FINISHED).read_text(encoding="utf-8"))
        same = kept["identity"] == json.loads(json.dumps(job.identity())) and Path(job.values["out"]).is_dir()
        return JobResult(**kept["result"]) if same else None
    except (OSError, ValueError, TypeError, KeyError, ValidationError):  # missing, or damaged by a crash
        return None


def run_jobs(jobs: Sequence[Job], heard: Callable[[JobResult], None]) -> dict[str, JobResult]:
    """Run jobs on the cluster that this process is connected to, as many at once as their resources allow.

    Args:
        jobs: with different names.
        heard: called with each result as it comes.

    Returns:
        The results by name, in the order of the jobs.

    Raises:
        ClusterError: a job takes more than there will be.
    """
    import ray

    _check_room(jobs)
    actor: Any = ray.remote(max_restarts=RESTARTS, max_task_retries=RESTARTS)(_Worker)
    here, started = Path.cwd(), time.monotonic()
    workers: dict[Job, Any] = {job: actor.options(num_cpus=job.cpus, num_gpus=job.gpus).remote() for job in jobs}
    waiting = {worker.run.remote(job, here): job for job, worker in workers.items()}
    found: dict[str, JobResult] = {}
    while waiting:
        for done in ray.wait(list(waiting))[0]:
            job = waiting.pop(done)
            try:
                found[job.name] = ray.get(done)
            except ray.exceptions.RayError as error:
                found[job.name] = _failed(job, _in_words(error), time.monotonic() - started)
            ray.kill(workers[job])
            heard(found[job.name])
    return {job.name: found[job.name] for job in jobs}


class _Worker:
    """The process of one job, which ends with it: nothing of a job is left to the next."""

    def run(self, job: Job, folder: Path) -> JobResult:
        return run_job(job, folder)


def run_job(job: Job, folder: Path) -> JobResult:
    """Run a job in this process, which is for nothing else: all that it writes goes to the job's log.

    Args:
        job: what to run.
        folder: the one that relative paths are meant from.
    """
    started = time.monotonic()
    os.chdir(folder)
    make_folder(job.folder)
    with (job.folder / LOG).open("a", encoding="utf-8", buffering=1) as file:
        sys.stdout.flush()
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=file, force=True)
        try:
            with redirect_stdout(StringIO()) as printed, redirect_stderr(file):
                _train(job)
        except (DomainRouterError, TyperException) as error:
            said = error.message if isinstance(error, TyperException) else str(error)
            log.error("error: %s", said)
            return _failed(job, said, time.monotonic() - started)
        except Exception:
            log.exception("an error of the program")
            raise
    result = _result(job, json.loads(printed.getvalue()), time.monotonic() - started)
    write_atomically(
        job.folder / FINISHED, json.dumps({"identity": job.identity(), "result": result.model_dump()}, indent=2)
    )
    return result


def _train(job: Job) -> None:
    quiet_libraries()
    command = train_command()
    with command.make_context("train", ["--json"], default_map=job.values) as context:
        command.invoke(context)


def _result(job: Job, report: Mapping[str, Any], seconds: float) -> JobResult:
    return JobResult(
        **_named(job, seconds),
        state="finished",
        chosen=report["chosen"],
        base=report["base_metrics"][TEST],
        adapted=report["adapted_metrics"][TEST],
        registered=report["registered"],
    )


def _failed(job: Job, error: str, seconds: float) -> JobResult:
    return JobResult(**_named(job, seconds), state="failed", error=error)


def _named(job: Job, seconds: float) -> dict[str, Any]:
    places = {"model": job.values["out"], "log": str(job.folder / LOG)}
    return {"name": job.name, **places, "seconds": round(seconds, 1)}


def _in_words(error: Exception) -> str:
    """Why a task of Ray came to nothing, in a line."""
    import ray

    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return f"its process was ended {RESTARTS + 1} times for want of memory: give it more cpus or more room"
    if isinstance(error, (ray.exceptions.ActorDiedError, ray.exceptions.ActorUnavailableError)):
        return f"its process was killed {RESTARTS + 1} times: see its log, and run it again"
    return last_line(error)


def _check_room(jobs: Sequence[Job]) -> None:
    """Refuse jobs that take more than there will be; say which wait for a new machine, and if no other can begin."""
    fitting = []
    for job in jobs:
        needs = [Need(f"job {job.name}", cores=job.cpus, gpus=job.gpus)]
        if check_room(needs, "lower its `cpus` or `gpus`"):
            fitting.append(needs)
        else:
            say_wait(needs)
    if fitting:
        say_if_waiting(*fitting)
