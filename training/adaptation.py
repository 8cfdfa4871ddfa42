"""The training loop: measure the base model; mine, fine-tune, measure; keep the best on dev; test it once."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from registry.errors import OutputError
from registry.model_folders.loading import try_model
from registry.paths import PathLike, local_path
from registry.shared.outputs import check_free, disk_reported, move_into_place
from training.checks import check_base_model, check_processes
from training.corpora.training_corpus import open_corpus_work
from training.errors import TrainingError
from training.grouping import open_grouping
from training.job import TrainingJob
from training.judges.relevance import GradedRelevance
from training.mining.mixture import Mixture
from training.model_folder import write_model_folder
from training.prepared.format import PreparedData
from training.prepared.joined import join
from training.prepared.overlap import KeptApart
from training.readability import check_readable
from training.recipes.distributed import FineTuning, Load, fine_tune, help_to_fine_tune
from training.recipes.frozen_documents import with_frozen_documents
from training.recipes.interpolation import DevSample, average, choose_weight, guards_of, interpolate
from training.recipes.model_modules import describe_model
from training.reporting.evidence import Example, gather, sample_examples
from training.reporting.report import REPORT, Iteration, TrainingReport, read_finished
from training.reporting.report_page import PAGE
from training.reporting.test_sets import Outcome, TestResults, TestSetEvaluator, best_outcome
from training.retrieval.encoding import load_model, resolve_device
from training.retrieval.hybrid import compare_hybrid
from training.retrieval.metrics import DECIDING
from training.retrieval.significance import compare_metrics
from training.retrieval.states import BASE_STATE, States
from training.retrieval.texts import Texts
from training.runs import processes
from training.runs.checkpoints import Checkpoint, newest_checkpoint, remove_checkpoints
from training.runs.run import Run
from training.runs.watching import Watcher, watched

log = logging.getLogger(__name__)

MEAN = "mean-of-seeds"
"""The state whose weights are the mean of the seeds' chosen models."""


def adapt(job: TrainingJob, out: PathLike, *, overwrite: bool = False) -> TrainingReport:
    """Adapt a base model to a domain and write the result as a model folder.

    The folder holds the model (safetensors), ``README.md`` (its card), ``report.json``, ``report.html`` and the
    classifier profile. It appears atomically; a run that was killed continues where it was when it is started again
    with the same job, and one that has finished returns its report.

    Args:
        job: what to train, on what, and how.
        out: the model folder to write.
        overwrite: replace an earlier model folder.

    Returns:
        The report.

    Raises:
        OutputError: the folder exists.
        TrainingError: another process is writing it; the recipe cannot train the base model, or finds nothing to learn.
        VariantError: the base model cannot be run with ``encode_with`` here.
    """
    out = local_path(out, OutputError)
    check_processes(job.recipe)
    device = resolve_device(job.device)
    load = partial(load_model, device=device, trust_remote_code=job.trust_remote_code, base=job.base)
    if not processes.is_main_process():
        report: TrainingReport = help_to_fine_tune(load, job.recipe)
        return report
    finished = None if overwrite else _finished(job, out)
    return processes.broadcast(finished or _train(job, out, overwrite, load, device))


def _finished(job: TrainingJob, out: Path) -> TrainingReport | None:
    """The report of an earlier run of this job, if it has finished."""
    report = read_finished(out, job.identity(), job.baselines(), job.fingerprints(), job.max_loss)
    if report:
        log.warning("%s: this job has written it already: nothing is trained", out)
        with _open_run(job, out) as run:
            run.remove()
    return report


def _train(job: TrainingJob, out: Path, overwrite: bool, load: Load, device: str) -> TrainingReport:
    """Run the job: all seeds, then the test sets, then the model folder."""
    check_free(out, overwrite, REPORT)
    with (
        disk_reported(out),
        _open_run(job, out) as run,
        _watched(job, run, out) as watcher,
        open_corpus_work(job.ray, job.base, device, job.trust_remote_code) as work,
        open_grouping(job.ray, out) as grouping,
    ):
        if run.resumed:
            log.warning("resuming the unfinished run in %s", run.folder)
        apart, recipe = job.keep_apart(grouping), job.recipe
        texts = Texts(join(apart.sets), grouping)
        states = States(
            run, job.base.path, load, texts, job.encode_batch, device, recipe.same_documents, job.encode_with, work
        )
        base = states[BASE_STATE]
        check_base_model(base.model, recipe)
        try_model(base.model, job.base.name)
        sets = {**(job.training_set.parts or {"": job.training_set}), **job.all_mixed}
        check_readable(base.model, job.base.name, sets, job.allow_unreadable)
        graded = GradedRelevance(job.judge, job.judge_depth, run, texts) if job.judge else None
        loops = [_Loop(job, apart.mixed, run, texts, states, load, graded, seed, watcher) for seed in job.seeds]
        outcomes = [loop.run_all() for loop in loops]

        watcher.doing("testing")
        evaluator = TestSetEvaluator(run, states, job.training_set, job.extra_test_sets, recipe.dims)
        results = evaluator.measure(outcomes, job.max_loss, loops[0].average(outcomes))
        kept = results.kept
        name, learnt = kept.best.name, best_outcome(outcomes).history[1:]
        hybrid = run.step(f"hybrid-{name}", partial(compare_hybrid, states[name], kept.seed))
        examples = {state.name: _read_examples(run, state.name) for state in learnt}
        evidence = gather(states, name, texts, examples, kept.seed)
        model = states[name].model
        report = _report(job, apart, results, hybrid, model, run.seconds)
        write_model_folder(run.result, job, model, base, kept.seed, report, evidence, results.by_query)
        move_into_place(run.result, out)
        watcher.finished(_public(report), out / PAGE)
        run.remove()
    return report


def _open_run(job: TrainingJob, out: Path) -> Run:
    return Run(out, job.identity().model_dump(mode="json"))


def _watched(job: TrainingJob, run: Run, out: Path) -> AbstractContextManager[Watcher]:
    """What hears of the run: the server that the job names."""
    identity = job.identity()
    facts = {
        "name": out.absolute().name[:200],
        "domain": job.domain,
        "recipe": job.recipe.name,
        "base_model": job.base.record().public_name,
        "fingerprint": identity.dataset.fingerprint,
        "counts": identity.dataset.counts,
        "options": identity.model_dump(mode="json")["options"],
        "iterations": len(job.seeds) * job.recipe.iterations,
    }
    return watched(job.report_to, run.folder, facts, lambda: run.seconds)


def _public(report: TrainingReport) -> dict[str, Any]:
    """The report as others may read it: without the path of a base model."""
    base = {**report.base_model.model_dump(), "name": report.base_model.public_name}
    return {**report.model_dump(mode="json"), "base_model": base}


def _report(
    job: TrainingJob,
    apart: KeptApart,
    results: TestResults,
    hybrid: dict[str, Any],
    model: SentenceTransformer,
    seconds: float,
) -> TrainingReport:
    return TrainingReport(
        **dict(job.identity()),
        **results.fields(),
        **describe_model(model),
        hybrid=hybrid,
        single_set_baselines=job.baselines(),
        left_out=apart.left_out,
        seen_in_training=apart.seen,
        device=str(model.device),
        threads=torch.get_num_threads(),
        seconds=round(seconds, 1),
    )


@dataclass(frozen=True)
class _Loop:
    """The iterations of one seed."""

    job: TrainingJob
    mixed: Mapping[str, PreparedData]
    run: Run
    texts: Texts
    states: States
    load: Load
    graded: GradedRelevance | None
    seed: int
    watcher: Watcher

    def run_all(self) -> Outcome:
        """Mine, fine-tune and measure in turn."""
        recipe, shares = self.job.recipe, self.job.complete_batch_shares
        mixture = Mixture(recipe.miner, self.texts, self.mixed, recipe.mixed_fraction, shares)
        self.watcher.doing("measuring the base model")
        history = [self.run.step(BASE_STATE, partial(self.measure, BASE_STATE))]
        self.watcher.measured(**history[0])
        for number in range(1, recipe.iterations + 1):
            name, state = self.name(number), self.states[history[-1]["name"]]
            self.watcher.doing(f"{name}: mining")
            judged = {"judged": self.graded.update(state, name)} if self.graded else {}
            mined = {"mined": mixture.mine(state, self.seed + number), **judged}
            history.append(self.run.step(name, partial(self.iterate, number, mixture, mined)))
            self.watcher.measured(name, history[-1]["dev"])
            remove_checkpoints(self.run.checkpoints(name))
            log.info("%s: dev %s %.4f", name, DECIDING, history[-1]["dev"][DECIDING])
        return Outcome(self.seed, [Iteration(**state) for state in history])

    def average(self, outcomes: Sequence[Outcome]) -> Outcome | None:
        """The mean of the models of several seeds, if the guards allow it.

        None for adapters, whose mean would be a larger adapter.
        """
        chosen = [outcome.best.name for outcome in outcomes if outcome.best.name != BASE_STATE]
        if len(chosen) < 2 or self.job.recipe.lora:
            return None

        def measure() -> dict[str, Any]:
            self.discard(MEAN)
            model = average([self.load(self.run.model_folder(name)) for name in chosen])
            self.run.save_model(MEAN, model, self.job.base)
            guards = guards_of(self.states[BASE_STATE], self.states[MEAN], self.job.guards, self.job.guard_loss)
            held = all(guard.holds(1.0) for guard in guards.values())
            changes = {name: guard.change(1.0) for name, guard in guards.items()}
            measured = {**self.measure(MEAN), "comparison": self.compare(MEAN), "guards": changes}
            return {"held": held, "measured": measured}

        found = self.run.step(MEAN, measure)
        mean = Iteration(**found["measured"])
        self.watcher.measured(MEAN, mean.dev)
        log.info("%s: dev %s %.4f", MEAN, DECIDING, mean.dev[DECIDING])
        if not found["held"]:
            log.warning("%s: a guard loses too much, so it is not kept", MEAN)
            return None
        return Outcome(self.seed, [outcomes[0].history[0], mean])

    def iterate(self, number: int, mixture: Mixture, mined: Mapping[str, Any]) -> dict[str, Any]:
        """Fine-tune from the trained weights of the iteration before, interpolate with the base model, and measure."""
        started = time.monotonic()
        name, base = self.name(number), self.states[BASE_STATE]
        start = newest_checkpoint(self.run.checkpoints(name))
        self.states.free_models()  # fine-tuning needs the memory
        task = self.task(number, mixture, start)
        self.watcher.doing(f"{name}: fine-tuning")
        model, trained = fine_tune(task, self.load, self.job.recipe, base, self.watcher)
        self.watcher.doing(f"{name}: measuring")
        if not (start and start.finished and start == newest_checkpoint(self.run.checkpoints(name))):
            self.discard(name)
        self.run.save_model(_trained(name), model, self.job.base)
        weight, guards = self.weight(name)
        interpolate(model, base.model, weight)
        if self.job.recipe.same_documents:
            model = with_frozen_documents(model, base.model)
        self.run.save_model(name, model, self.job.base)
        measured = {**self.measure(name), "comparison": self.compare(name)}
        seconds = round(time.monotonic() - started, 1)
        return {**measured, **mined, **trained, "interpolation_weight": weight, "guards": guards, "seconds": seconds}

    def name(self, number: int) -> str:
        """The name of an iteration's state."""
        return f"seed-{self.seed}-iteration-{number}" if len(self.job.seeds) > 1 else f"iteration-{number}"

    def discard(self, name: str) -> None:
        """Remove the embeddings and rankings of weights that were trained before a crash."""
        for state in (name, _trained(name)):
            shutil.rmtree(self.run.embeddings(state), ignore_errors=True)

    def task(self, number: int, mixture: Mixture, start: Checkpoint | None) -> FineTuning:
        """What an iteration learns from, some of which is kept for the page.

        Raises:
            TrainingError: there is nothing.
        """
        name, seed = self.name(number), self.seed + number
        examples = mixture.examples(seed)
        if not len(examples):
            recipe = self.job.recipe.name
            raise TrainingError(f"recipe {recipe} found nothing to learn: the base model ranks too well already")
        self.run.step(
            _examples(name), lambda: {"rows": [row.model_dump() for row in sample_examples(examples, self.texts)]}
        )
        weights = self.job.base.path if number == 1 else self.run.model_folder(_trained(self.name(number - 1)))
        return FineTuning(weights, examples, seed, self.seed, self.run.checkpoints(name), start, name)

    def weight(self, name: str) -> tuple[float, dict[str, float]]:
        """The weight of an iteration's trained model in its result, as the recipe says or as dev queries show.

        Also the change of the deciding metric on every guard's dev queries.
        """
        if self.job.recipe.interpolation_weight is not None:
            return self.job.recipe.interpolation_weight, {}
        base, trained = self.states[BASE_STATE], self.states[_trained(name)]
        sample, guards = DevSample(base), guards_of(base, trained, self.job.guards, self.job.guard_loss)
        weight = choose_weight(sample.of(base), sample.of(trained), self.job.recipe.min_gain_kept, guards.values())
        for guard, found in guards.items():
            if not found.holds(weight):
                log.warning("%s: the guard %s loses %.4f at every weight", name, guard, -found.change(weight))
        return weight, {guard: found.change(weight) for guard, found in guards.items()}

    def measure(self, name: str) -> dict[str, Any]:
        """Metrics of a state on the dev split."""
        return {"name": name, "dev": self.states[name].metrics("dev")}

    def compare(self, name: str) -> dict[str, dict[str, float]]:
        """A state against the base model on the dev split: optimistic, since the best state is chosen on it."""
        before, after = (self.states[state].query_metrics("dev") for state in (BASE_STATE, name))
        return compare_metrics(before, after, self.seed, [queries for queries, _ in self.texts.spans("dev")])


def _trained(name: str) -> str:
    """The name of an iteration's weights before they are interpolated with the base model's."""
    return f"{name}-trained"


def _examples(name: str) -> str:
    """The name of the step that keeps some of an iteration's training examples."""
    return f"{name}-examples"


def _read_examples(run: Run, name: str) -> list[Example]:
    """The examples that :meth:`_Loop.task` kept of an iteration."""
    return [Example(**row) for row in run.finished(_examples(name))["rows"]]
