"""The file of ``train-many``: a list of jobs, each with the options of ``train`` and what it takes of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from pydantic import Field
from typer.exceptions import TyperException
from typer.main import get_command

from registry import DomainRouterError
from registry.names import check_domain
from registry.shared.digests import sha256_of
from registry.shared.options import Options, Shown, model_fields
from registry.shared.strict_yaml import YamlFile, read_yaml
from router_plugin.cli.config_file import ConfigError, fields_by_key, options_at
from router_plugin.cli.model_options import option_types
from router_plugin.cli.named_values import named_set
from router_plugin.cli.training_commands.train import train
from training.options import Seed, WorkerOptions

COMMAND_SETS = ("out", "register", "registry", "json", "ray", *WorkerOptions.model_fields)
"""Parameters of ``train`` that a job does not set: ``train-many`` does, for all of them."""
_FOLDERS = ("data", "mixed", "extra_test_sets", "guards")
"""Parameters of ``train`` that name prepared folders."""
_MANIFEST = "manifest.json"


class JobOptions(Options):
    """What a job has besides the options of ``train``."""

    error: ClassVar[type[DomainRouterError]] = ConfigError

    name: Annotated[
        str,
        Field(description="Name of the job and of its folder; without `domain`, that of the domain too."),
    ]
    seeds: Annotated[
        tuple[Seed, ...],
        Field(description="Train a model with each of these seeds, as jobs of their own that are called NAME-seed-N."),
        Shown(default="none", metavar="LIST"),
    ] = ()
    cpus: Annotated[float, Field(gt=0, description="Cores that the job takes.")] = 1.0
    gpus: Annotated[float, Field(ge=0, description="GPUs that the job takes; jobs may take parts of one.")] = 0.0


@dataclass(frozen=True, eq=False)
class Job:
    """One run of ``train``.

    Attributes:
        name: of the job.
        folder: where it writes, an absolute path.
        cpus: cores that it takes.
        gpus: GPUs that it takes.
        values: of the parameters of ``train``, as a file of its options gives them.
    """

    name: str
    folder: Path
    cpus: float
    gpus: float
    values: dict[str, Any]

    def identity(self) -> dict[str, Any]:
        """What decides the result: the options, and the digests of the manifests of all data."""
        manifests = {str(folder): sha256_of(folder / _MANIFEST) for _, folder in _folders(self.values)}
        return {"options": self.values, "manifests": manifests}


def train_command() -> Any:
    """The command ``train`` of the command line."""
    app = typer.Typer()
    app.command("train")(train)
    return get_command(app)


def read_jobs(path: Path, out: Path, common: Mapping[str, Any]) -> list[Job]:
    """The jobs in a file, each checked as far as it can be without reading its data or loading a model.

    Args:
        path: YAML file with a list of jobs.
        out: gets a folder for each job.
        common: values of parameters of ``train`` that all jobs have in common.

    Raises:
        ConfigError: with file and line: an unknown or wrong option, a folder that prepare did not write, a name twice.
    """
    file = read_yaml(path, ConfigError)
    if not isinstance(file.content, list) or not file.content:
        raise ConfigError(f"{file.place(())}: expected a list of jobs, like '- name: legal'")
    known = _known_options()
    jobs: dict[str, Job] = {}
    for position in range(len(file.content)):
        for job in _jobs_at(file, position, out.absolute(), common, known):
            if job.name in jobs:
                raise ConfigError(f"{file.place((position,))}: duplicate name {job.name}: each job has its own folder")
            jobs[job.name] = job
    return list(jobs.values())


def _known_options() -> dict[str, str]:
    """The parameters of ``train`` that a job may set, by their keys in the file."""
    types = option_types(train)
    keys = fields_by_key(train_command().params, types)
    return {key: name for key, name in keys.items() if name not in COMMAND_SETS}


def _jobs_at(
    file: YamlFile, position: int, out: Path, common: Mapping[str, Any], known: Mapping[str, str]
) -> Iterator[Job]:
    """The job at a position of the file, or one for each of its seeds."""
    types, own = option_types(train), model_fields(JobOptions)
    given = file.content[position]
    if isinstance(given, dict) and isinstance(given.get("data"), str):
        given["data"] = [given["data"]]
    found = options_at(file, (position,), {**{key: types[name] for key, name in known.items()}, **own})
    place = file.place((position,))
    try:
        options = JobOptions(**{key: value for key, value in found.items() if key in own})
        check_domain(options.name)
    except DomainRouterError as error:
        raise ConfigError(f"{place}: {error}") from error
    values = {known[key]: value for key, value in found.items() if key in known}
    if options.seeds and "seeds" in values:
        raise ConfigError(f"{place}: `seed` gives one model, `seeds` one for each: use one of them")
    for seed in options.seeds or (None,):
        name = options.name if seed is None else f"{options.name}-seed-{seed}"
        folder = out / name
        settled = {"domain": options.name, "out": str(folder / "model"), **values, **common}
        job = Job(name, folder, options.cpus, options.gpus, settled if seed is None else {**settled, "seeds": [seed]})
        _check(job, file, position, {name: key for key, name in known.items()})
        yield job


def _check(job: Job, file: YamlFile, position: int, keys: Mapping[str, str]) -> None:
    """Make sure that ``train`` takes the options, and that the folders are prepared data."""
    place = file.place((position,))
    if not job.values.get("data"):
        raise ConfigError(f"{place}: job {job.name}: `data` is missing: expected a folder that prepare wrote")
    command = train_command()
    values = {name: value for name, value in job.values.items() if name != "device"}  # which its machine has
    try:
        with redirect_stdout(StringIO()):
            context = command.make_context("train", ["--print-config"], default_map=values)
            with context:
                command.invoke(context)
        for parameter, folder in _folders(job.values):
            if not (folder / _MANIFEST).is_file():
                raise ConfigError(f"`{parameter}` {folder}: expected a folder that 'domain-router prepare' wrote")
    except (DomainRouterError, TyperException) as error:
        said = error.message if isinstance(error, TyperException) else str(error)
        place = next((file.place((position, key)) for name, key in keys.items() if f"`{name}`" in said), place)
        raise ConfigError(f"{place}: job {job.name}: {said}") from error


def _folders(values: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """The folders of prepared data, each with the parameter that names it."""
    for parameter in _FOLDERS:
        yield from ((parameter, Path(named_set(parameter, text)[1])) for text in values.get(parameter) or ())
