"""``domain-router train-many``: several domains or seeds at once, each as ``train`` trains it, as tasks of Ray."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry import DomainRouterError
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import JsonOption, NewRegistryOption
from router_plugin.cli.printing import print_json, print_table

if TYPE_CHECKING:
    from router_plugin.cli.training_commands.jobs.reading import Job
    from router_plugin.cli.training_commands.jobs.running import JobResult

EXAMPLE = "Example: domain-router train-many jobs.yaml --out work/models --register"


def train_many(
    file: Annotated[Path, typer.Argument(parser=named_path, metavar="FILE", help="YAML file with a list of jobs.")],
    out: Annotated[Path, typer.Option(help="Gets a folder for each job.", parser=named_path, metavar=PATH)],
    *,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Run this job only. Repeatable.")] = None,
    ray: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Cluster of Ray to run in; local: one of this machine's cores.")
    ] = "local",
    register: Annotated[bool, typer.Option("--register", help="Register each model when it is trained.")] = False,
    registry: NewRegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Train the models that a file lists, several at once; run it again for what failed."""
    from registry import progress
    from registry.cluster.connecting import connected
    from router_plugin.cli.training_commands.jobs.reading import read_jobs
    from router_plugin.cli.training_commands.jobs.running import finished, run_jobs

    common = {"register": register, **({"registry": registry} if registry else {})}
    jobs = _chosen(read_jobs(file, out, common), only or ())
    earlier = {job.name: found for job in jobs if (found := finished(job))}
    rest = [job for job in jobs if job.name not in earlier]
    results: dict[str, JobResult] = {}
    if rest:
        with connected(ray), progress.bar("jobs", len(rest)) as advance:

            def heard(result: JobResult) -> None:
                typer.echo(_line(result), err=True)
                advance(1)

            results = run_jobs(rest, heard)
    listed = [earlier.get(job.name) or results[job.name] for job in jobs]
    if json:
        print_json({"jobs": [{**found.model_dump(), "ran": found.name in results} for found in listed]})
    else:
        _print(listed, results)
    if any(found.state == "failed" for found in listed):
        raise typer.Exit(1)


def _chosen(jobs: Sequence[Job], only: Sequence[str]) -> list[Job]:
    known = [job.name for job in jobs]
    for name in only:
        if name not in known:
            raise DomainRouterError(f"`only` {name}: no such job: expected {', '.join(known)}")
    return [job for job in jobs if not only or job.name in only]


def _line(result: JobResult) -> str:
    return f"{result.name}: {result.error or f'finished in {result.seconds} s'}"


def _print(listed: Sequence[JobResult], ran: Iterable[str]) -> None:
    from training.retrieval.metrics import DECIDING

    rows = [
        (
            found.name,
            found.state if found.name in ran else f"{found.state} before",
            found.seconds,
            found.base.get(DECIDING),
            found.adapted.get(DECIDING),
            found.registered or "",
        )
        for found in listed
    ]
    print_table("jobs", ("job", "state", "seconds", f"base {DECIDING}", f"adapted {DECIDING}", "registered"), rows)
    for found in listed:
        if found.error:
            typer.echo(f"{found.name} failed: {found.error}; log: {found.log}")
    if failed := [found.name for found in listed if found.error]:
        typer.echo(f"run the same command again for what failed: {', '.join(failed)}")
