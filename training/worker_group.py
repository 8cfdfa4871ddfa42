"""Training by the workers of Ray Train: each does what a process of torchrun does, and lost ones are replaced."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry import DomainRouterError
from registry.cluster.connecting import connected
from registry.cluster.room import Need, check_room, counted, say_if_waiting
from registry.errors import OutputError
from registry.paths import PathLike, local_path
from registry.shared.outputs import make_folder, write_atomically
from registry.shared.wording import last_line
from training.adaptation import adapt
from training.errors import TrainingError
from training.job import TrainingJob
from training.options import WorkerOptions
from training.reporting.report import TrainingReport
from training.runs import processes

RESTARTS = 20
"""Losses of workers that a training goes on after."""
_ERROR = "error.txt"


def adapt_in_workers(
    make_job: Callable[[], TrainingJob],
    out: PathLike,
    address: str,
    workers: WorkerOptions,
    *,
    overwrite: bool = False,
) -> TrainingReport:
    """Adapt a base model as :func:`training.adapt` does, in workers of Ray Train instead of processes of torchrun.

    When a worker is lost, all begin anew and go on from the last checkpoint of the run, which lies beside ``out``: that
    folder, the data and the base model must be on a disk that all machines of the cluster have, under the same path.

    Args:
        make_job: makes the job; it is sent to the workers, each of which calls it, in the folder that is current here.
            The job must not work on a cluster itself: the workers may hold all that there is.
        out: the model folder to write.
        address: of the cluster, see :func:`registry.cluster.connecting.connected`.
        workers: how many, and what each takes.
        overwrite: replace an earlier model folder.

    Raises:
        ClusterError: Ray is not installed, or the cluster cannot be reached or has no room for the workers.
        TrainingError: more workers were lost than a training goes on after; or what :func:`training.adapt` raises, in
            the same words.
    """
    out = local_path(out, OutputError).absolute()
    make_folder(out.parent)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.ray-", dir=out.parent, ignore_cleanup_errors=True) as scratch:
        storage = Path(scratch)
        work = {"make_job": make_job, "out": out, "overwrite": overwrite, "folder": Path.cwd(), "storage": storage}
        with connected(address, (workers.ray_workers or 1) + 1):
            _fit(work, workers, storage)
        if (said := storage / _ERROR).exists():
            raise TrainingError(said.read_text(encoding="utf-8"))
    return TrainingReport.load(out)


def _fit(work: dict[str, Any], workers: WorkerOptions, storage: Path) -> None:
    """Let Ray Train do the work, and restart it where it must."""
    from ray.train.torch import TorchConfig
    from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.exceptions import TrainingFailedError
    from ray.train.v2.torch.torch_trainer import TorchTrainer

    gpus = workers.gpus_per_worker
    needs = [Need(counted(workers.fewest, "worker"), workers.fewest, gpus=gpus)]
    check_room(needs, f"lower `{'min_' if workers.min_ray_workers else ''}ray_workers` or `gpus_per_worker`")
    say_if_waiting(needs)
    timeout = int(processes.TIMEOUT.total_seconds())
    each = {"CPU": 1.0, "GPU": gpus} if gpus else {"CPU": 1.0}
    trainer = TorchTrainer(
        _work,
        train_loop_config=work,
        torch_config=TorchConfig(backend=processes.backend(gpus > 0), timeout_s=timeout),
        scaling_config=ScalingConfig(num_workers=workers.group_size, use_gpu=gpus > 0, resources_per_worker=each),
        run_config=RunConfig(
            name="training",
            storage_path=str(storage),
            failure_config=FailureConfig(max_failures=RESTARTS),
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        raise TrainingError(f"the workers failed more than {RESTARTS} times: {last_line(error)}") from error


def _work(work: dict[str, Any]) -> None:
    """What a worker does.

    A mistake of the user's would fail again as often as workers may: it is written down, and ends the next attempt.
    """
    said = work["storage"] / _ERROR
    if said.exists():
        return
    os.environ[processes.STARTED_BY_RAY] = "1"
    os.chdir(work["folder"])
    try:
        adapt(work["make_job"](), work["out"], overwrite=work["overwrite"])
    except DomainRouterError as error:
        write_atomically(said, str(error))
        raise
