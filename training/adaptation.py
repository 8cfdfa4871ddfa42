"""The training loop: measure the base model; mine, fine-tune, measure; keep the best on dev; judge it once."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from registry import BaseModelFiles
from registry.classifier_profiles.profiles import Profile
from registry.shared.outputs import check_free, make_folder, move_into_place
from training.checks import check_base_model, check_processes
from training.errors import TrainingError
from training.job import TrainingJob
from training.judges.relevance import GradedRelevance
from training.mining.examples import Examples
from training.mining.mixture import Mixture
from training.prepared.format import PreparedData
from training.recipes.finetune import finetune, train_adapter_only
from training.recipes.frozen_documents import with_frozen_documents
from training.recipes.interpolation import DevSample, choose_share, move_towards
from training.recipes.model_modules import describe_model
from training.recipes.recipes import Recipe
from training.reporting.card import CARD, model_card
from training.reporting.evidence import gather, some_of
from training.reporting.report import REPORT, Iteration, TrainingReport, read_finished
from training.reporting.report_page import report_page, write_page
from training.reporting.test_sets import Outcome, TestSetEvaluator
from training.retrieval.encoding import load_model, resolve_device
from training.retrieval.metrics import DECIDING
from training.retrieval.significance import compare_metrics
from training.retrieval.states import BASE_STATE, State, States
from training.retrieval.texts import Texts
from training.runs import processes
from training.runs.run import Run, save_model

log = logging.getLogger(__name__)


def adapt(job: TrainingJob, out: Path, *, overwrite: bool = False) -> TrainingReport:
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
    recipe, base, data, mixed = job.recipe, job.base, job.training_set, job.mixed
    check_processes(recipe)
    identity, baselines = job.identity(), job.baselines()
    device = resolve_device(job.device)
    load = partial(load_model, device=device, trust_remote_code=job.trust_remote_code, base=base)
    if not processes.is_main_process():
        return _assist(load, recipe)
    if not overwrite and (finished := read_finished(out, identity, baselines, job.fingerprints(), job.max_loss)):
        log.warning("%s: these very arguments have written it already: nothing is trained", out)
        with Run(out, identity.model_dump(mode="json")) as run:
            run.remove()
        return processes.broadcast(finished)
    check_free(out, overwrite, REPORT)
    with Run(out, identity.model_dump(mode="json")) as run:
        if run.resumed:
            log.warning("going on with the unfinished run in %s", run.folder)
        texts = Texts(data)
        states = States(run, base.path, load, texts, job.encode_batch, device, recipe.same_documents, job.encode_with)
        check_base_model(states[BASE_STATE].model, recipe)
        relevance = GradedRelevance(job.judge, job.judge_depth, run, texts) if job.judge else None
        prefixes = {each: f"seed-{each}-" if len(job.seeds) > 1 else "" for each in job.seeds}
        loops = [
            _Loop(run, base, load, states, texts, mixed, job.complete_batch_shares, recipe, relevance, each, prefix)
            for each, prefix in prefixes.items()
        ]
        outcomes = [loop.run_all() for loop in loops]
        evaluator = TestSetEvaluator(run, states, data, job.extra_test_sets, recipe.dims)
        results = evaluator.measure(outcomes, job.max_loss)
        kept = results.kept
        examples = {state.name: _examples(run, state.name) for state in kept.history[1:]}
        evidence = gather(states, kept.best.name, texts, examples, kept.seed)
        model = states[kept.best.name].model
        report = TrainingReport(
            **dict(identity),
            **results.fields(),
            **describe_model(model),
            single_set_baselines=baselines,
            device=str(model.device),
            threads=torch.get_num_threads(),
            seconds=round(run.seconds, 1),
        )
        if recipe.lora:
            train_adapter_only(model, recipe.lora, kept.seed)  # the untouched base model has none yet
        profile = _profile(data, texts, states[BASE_STATE], report.base_model.weights_sha256, kept.seed)
        _write_model(run.result, model, base, profile, report, report_page(report, evidence))
        move_into_place(run.result, out)
        run.remove()
    return processes.broadcast(report)


@dataclass
class _Loop:
    """What the iterations of a seed share."""

    run: Run
    base: BaseModelFiles
    load: Callable[[Path], SentenceTransformer]
    states: States
    texts: Texts
    mixed: Mapping[str, PreparedData]
    shares: Mapping[str, float]
    recipe: Recipe
    relevance: GradedRelevance | None
    seed: int
    prefix: str

    def run_all(self) -> Outcome:
        """Mine, fine-tune and measure in turn."""
        history = [self.run.step(BASE_STATE, partial(self.measure, BASE_STATE))]
        mixture = Mixture(self.recipe.miner, self.texts, self.mixed, self.recipe.mixed_fraction, self.shares)
        for number in range(1, self.recipe.iterations + 1):
            state = self.states[history[-1]["name"]]
            judged = {"judged": self.relevance.update(state, self.name(number))} if self.relevance else {}
            mined = {"mined": mixture.mine(state, self.seed + number), **judged}
            history.append(self.run.step(self.name(number), partial(self.iterate, number, mixture, mined)))
            log.info("%s: dev %s %.4f", self.name(number), DECIDING, history[-1]["dev"][DECIDING])
        return Outcome(self.seed, [Iteration(**state) for state in history])

    def name(self, number: int) -> str:
        """The name of an iteration's state."""
        return f"{self.prefix}iteration-{number}"

    def measure(self, name: str) -> dict[str, Any]:
        """Metrics of a state on the dev split."""
        return {"name": name, "dev": self.states[name].metrics("dev")}

    def iterate(self, number: int, mixture: Mixture, mined: Mapping[str, Any]) -> dict[str, Any]:
        """Fine-tune from the weights of the iteration before, and measure them interpolated with the base model's."""
        started = time.monotonic()
        name, before = self.name(number), self.name(number - 1)
        for state in (name, _trained(name)):  # embeddings of weights that were trained before a crash
            shutil.rmtree(self.run.embeddings(state), ignore_errors=True)
        weights = self.base.path if number == 1 else self.run.model_folder(_trained(before))
        seed = self.seed + number
        examples = mixture.examples(seed)
        if not len(examples):
            raise TrainingError(f"recipe {self.recipe.name} found nothing to learn: the base model ranks too well")
        _examples(self.run, name, partial(some_of, examples, self.texts))
        self.states.free_models()  # fine-tuning needs the memory
        work = processes.broadcast(_Work(weights, examples, seed, self.seed, self.run.scratch, name))
        model, trained = _fine_tune(work, self.load, self.recipe, self.states[BASE_STATE])
        self.run.save_model(_trained(name), model, self.base)
        share = self.share(name)
        base = self.states[BASE_STATE].model
        move_towards(model, base, share)
        if self.recipe.same_documents:
            model = with_frozen_documents(model, base)
        self.run.save_model(name, model, self.base)
        measured = self.measure(name)
        measured["comparison"] = self.compare(name)
        seconds = round(time.monotonic() - started, 1)
        return {**measured, **mined, **trained, "interpolation_weight": share, "seconds": seconds}

    def compare(self, name: str) -> dict[str, dict[str, float]]:
        """A state against the base model on the dev split, which the best of several is chosen by: it flatters."""
        before, after = (self.states[state].query_metrics("dev") for state in (BASE_STATE, name))
        return compare_metrics(before, after, self.seed, [asking for asking, _ in self.texts.spans("dev")])

    def share(self, name: str) -> float:
        """The share of an iteration's trained weights in its result."""
        if self.recipe.interpolation_weight is not None:
            return self.recipe.interpolation_weight
        sample = DevSample(self.states[BASE_STATE])
        base = sample.of(self.states[BASE_STATE])
        return choose_share(base, sample.of(self.states[_trained(name)]), self.recipe.min_gain_kept)


def _examples(run: Run, name: str, show: Callable[[], dict[str, Any]] = dict) -> list[dict[str, Any]]:
    """Some of what an iteration learns from, kept for the page; none where an earlier version began the run."""
    rows: list[dict[str, Any]] = run.step(f"{name}-examples", show).get("rows", [])
    return rows


def _trained(name: str) -> str:
    """The name of an iteration's weights before they are moved towards the base model's."""
    return f"{name}-trained"


@dataclass(frozen=True)
class _Work:
    """One fine-tuning, as every process needs to know it.

    Attributes:
        weights: folder of the model that it starts from.
        examples: the training examples.
        seed: of everything random in it.
        adapter_seed: of an adapter's first weights.
        scratch: a folder for temporary files.
        name: for the progress bar and errors.
    """

    weights: Path
    examples: Examples
    seed: int
    adapter_seed: int
    scratch: Path
    name: str


def _assist(load: Callable[[Path], SentenceTransformer], recipe: Recipe) -> TrainingReport:
    """Fine-tune beside the first process whenever it does; returns its report."""
    while isinstance(received := processes.receive(), _Work):
        _fine_tune(received, load, recipe)
    report: TrainingReport = received
    return report


def _fine_tune(
    work: _Work, load: Callable[[Path], SentenceTransformer], recipe: Recipe, base: State | None = None
) -> tuple[SentenceTransformer, dict[str, float]]:
    """The fine-tuned model, and what :func:`training.recipes.finetune.finetune` says of it."""
    model = load(work.weights)
    if recipe.lora:
        train_adapter_only(model, recipe.lora, work.adapter_seed)
    return model, finetune(model, work.examples, recipe, work.seed, work.scratch, work.name, base)


def _profile(data: PreparedData, texts: Texts, base: State, digest: str, seed: int) -> Profile:
    """The domain's classifier profile; the base model has encoded the training queries already.

    Labelled texts that were dealt out as documents are queries of the domain, too.
    """
    queries, known = texts.queries["train"], base.query_embeddings("train")[:]
    dealt = [text for part in data.parts.values() or [data] if part.labelled for text in part.corpus.values()]
    if dealt:
        queries = queries + dealt
        known = np.concatenate([known, base.encode_queries(dealt)])
    return Profile.from_queries(queries, base.encode_queries, digest, seed, known)


def _write_model(
    folder: Path, model: SentenceTransformer, base: BaseModelFiles, profile: Profile, report: TrainingReport, shown: str
) -> None:
    """Write a model folder; one that a crash cut short is written anew."""
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    save_model(model, folder, base)
    profile.save(folder)
    (folder / CARD).write_text(model_card(report), encoding="utf-8")
    write_page(folder, shown)
    report.save(folder)
