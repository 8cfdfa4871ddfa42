"""The training loop: measure the base model; mine, fine-tune, measure; keep the best on dev; judge it once."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from registry import BaseModelFiles, ModelRecord
from registry.classifier_profiles.profiles import Profile
from registry.model_folders.variants import Backend
from registry.names import check_domain
from registry.records import DatasetRecord
from registry.shared.outputs import check_free, make_folder, move_into_place
from training.errors import TrainingError
from training.judges.relevance import DEPTH, JudgedRelevance, RelevanceJudge, check_relevance_judge
from training.mining.mixture import Mixture, check_mixing
from training.prepared.format import PreparedData
from training.prepared.joined import check_joining, join, shares_of
from training.recipes.finetune import finetune
from training.recipes.frozen_documents import check_one_branch, with_frozen_documents
from training.recipes.interpolation import DevSample, choose_share, move_towards
from training.recipes.lora import train_adapter_only
from training.recipes.model_modules import describe_model
from training.recipes.recipes import Contrastive, Recipe
from training.reporting.card import CARD, model_card
from training.reporting.evidence import gather, some_of
from training.reporting.report import REPORT, Iteration, TrainingIdentity, TrainingReport, read_finished
from training.reporting.report_page import report_page, write_page
from training.reporting.single_set_baselines import baseline_summary, check_beside
from training.reporting.test_sets import Outcome, TestSetEvaluator, check_judging
from training.retrieval.encoding import load_model
from training.retrieval.metrics import DECIDING
from training.retrieval.significance import compare_metrics
from training.retrieval.states import BASE_STATE, State, States, Texts
from training.runs import processes
from training.runs.run import Run, save_model

log = logging.getLogger(__name__)


def adapt(
    data: PreparedData | Mapping[str, PreparedData],
    domain: str,
    base: BaseModelFiles,
    out: Path,
    recipe: Recipe | None = None,
    *,
    shares: Mapping[str, float] | None = None,
    seed: int | Sequence[int] = 42,
    also: Mapping[str, PreparedData] | None = None,
    max_loss: Mapping[str, float] | None = None,
    mixed: Mapping[str, PreparedData] | None = None,
    beside: Mapping[str, ModelRecord] | None = None,
    judge: RelevanceJudge | None = None,
    judge_depth: int = DEPTH,
    encode_batch: int = 64,
    encode_with: Backend | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    overwrite: bool = False,
) -> TrainingReport:
    """Adapt a base model to a domain and write the result as a model folder.

    The folder holds the model (safetensors), ``README.md`` (its card), ``report.json``, ``report.html`` and the
    classifier profile. It appears whole or not at all; a run that was killed goes on where it was when it is started
    again with the same arguments, and one that has finished answers with what it found.

    Args:
        data: prepared data; or several sets by name, each of which is ranked and measured over its own documents. Then
            metrics are means over sets, and ``extra_test_sets`` of the report has those of each.
        domain: name of the domain.
        base: where adaptation starts.
        out: the model folder to write.
        recipe: how to train; ``Contrastive()`` by default.
        shares: of the batches that a set has, by its name; what is left is dealt out evenly to the others.
        seed: of everything random; the same seed on the same machine gives the same metrics. Of several seeds each is
            trained whole, and the model that is best on dev is kept.
        also: other prepared data by name; the base and the chosen model are measured on their test splits too.
        max_loss: how much MRR@5, from 0 to 1, the chosen model may lose on a set of ``also``, or on the domain's own
            test split, which is named ``test``. A model that loses more is written, and published only by force.
        mixed: other prepared data by name, whose training queries are learnt from too.
        beside: of one set or several, by name, the model that was trained on it alone, for the report.
        judge: of the domain's own training queries grades what each iteration ranks first and is not known to be right;
            by default only the data say what is. Several seeds have their grades in common.
        judge_depth: documents that it grades for a query in an iteration, 1 to 15.
        encode_batch: texts encoded at a time.
        encode_with: what texts are encoded with for mining and measuring; by default torch.
        device: as torch names it; by default a GPU where there is one.
        trust_remote_code: let the base model run code of its own.
        overwrite: replace an earlier model folder.

    Returns:
        The report.

    Raises:
        OutputError: the folder exists.
        TrainingError: another process is writing it; data without the queries that are needed, or that the recipe
            cannot join or mix in; shares that do not sum to 1; a limit that is out of range or of no known set; a model
            beside that learned from other data; a seed given twice or none.
        InvalidNameError: the name of the domain or of another set is not allowed.
        VariantError: the base model cannot be run with ``encode_with`` here.
    """
    recipe = recipe or Contrastive()
    also, max_loss, mixed = also or {}, max_loss or {}, mixed or {}
    seeds = _seeds(seed)
    _check_processes(recipe)
    check_domain(domain)
    data = data if isinstance(data, PreparedData) else join(data)
    shares = shares_of(data, shares or {})
    check_joining(recipe, data)
    check_beside(data, beside or {})
    check_judging(data, also, max_loss)
    check_mixing(recipe, mixed)
    check_relevance_judge(recipe, data, judge, judge_depth)
    identity = TrainingIdentity(
        domain=domain,
        base_model=base.record(),
        recipe=recipe.name,
        options={
            **recipe.model_dump(),
            **({"seed": seeds[0]} if len(seeds) == 1 else {"seeds": seeds}),
            **({"shares": shares} if shares else {}),
        },
        dataset=_lineage(data),
        joined={name: _lineage(part) for name, part in data.parts.items()},
        mixed={name: _lineage(other) for name, other in mixed.items()},
        judge=judge.identity if judge else None,
        judge_depth=judge_depth if judge else None,
        encoded_with=encode_with or "torch",
    )
    baselines = {name: baseline_summary(model) for name, model in (beside or {}).items()}
    fingerprints = {name: other.fingerprint for name, other in {**data.parts, **also}.items()}
    load = partial(load_model, device=device, trust_remote_code=trust_remote_code, base=base)
    if not processes.leads():
        return _assist(load, recipe)
    if not overwrite and (finished := read_finished(out, identity, baselines, fingerprints, max_loss)):
        log.warning("%s: these very arguments have written it already: nothing is trained", out)
        with Run(out, identity.model_dump(mode="json")) as run:
            run.remove()
        return processes.tell(finished)
    check_free(out, overwrite, REPORT)
    with Run(out, identity.model_dump(mode="json")) as run:
        if run.resumed:
            log.warning("going on with the unfinished run in %s", run.folder)
        texts = Texts(data)
        states = States(run, base.path, load, texts, encode_batch, recipe.same_documents, encode_with)
        _check_model(states[BASE_STATE].model, recipe)
        relevance = JudgedRelevance(judge, judge_depth, run, texts) if judge else None
        prefixes = {each: f"seed-{each}-" if len(seeds) > 1 else "" for each in seeds}
        loops = [
            _Loop(run, base, load, states, texts, mixed, shares, recipe, relevance, each, prefix)
            for each, prefix in prefixes.items()
        ]
        outcomes = [loop.run_all() for loop in loops]
        results = TestSetEvaluator(run, states, data, also, recipe.dims).measure(outcomes, max_loss)
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
    return processes.tell(report)


def _lineage(data: PreparedData) -> DatasetRecord:
    return DatasetRecord(fingerprint=data.fingerprint, counts=data.manifest["counts"])


def _seeds(given: int | Sequence[int]) -> list[int]:
    seeds = [given] if isinstance(given, int) else list(given)
    if not seeds:
        raise TrainingError("no --seed: at least one is needed")
    if len(set(seeds)) < len(seeds):
        raise TrainingError(f"--seed {' --seed '.join(map(str, seeds))}: a seed is given twice: each gives one model")
    return seeds


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
    relevance: JudgedRelevance | None
    seed: int
    prefix: str

    def run_all(self) -> Outcome:
        """Mine, fine-tune and measure in turn."""
        history = [self.run.step(BASE_STATE, partial(self.measure, BASE_STATE))]
        mixture = Mixture(self.recipe, self.texts, self.mixed, self.shares)
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
        work = processes.tell(processes.Work(weights, examples, seed, self.seed, self.run.scratch, name))
        model, trained = _fine_tune(work, self.load, self.recipe, self.states[BASE_STATE])
        self.run.save_model(_trained(name), model, self.base)
        share = self.share(name)
        move_towards(model, self.load(self.base.path), share)
        if self.recipe.same_documents:
            model = with_frozen_documents(model, self.load(self.base.path))
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


def _assist(load: Callable[[Path], SentenceTransformer], recipe: Recipe) -> TrainingReport:
    """Fine-tune beside the first process whenever it does; returns its report."""
    while isinstance(told := processes.wait(), processes.Work):
        _fine_tune(told, load, recipe)
    report: TrainingReport = told
    return report


def _fine_tune(
    work: processes.Work, load: Callable[[Path], SentenceTransformer], recipe: Recipe, base: State | None = None
) -> tuple[SentenceTransformer, dict[str, float]]:
    """The fine-tuned model, and what :func:`training.recipes.finetune.finetune` says of it."""
    model = load(work.weights)
    if recipe.lora:
        train_adapter_only(model, recipe.lora, work.adapter_seed)
    return model, finetune(model, work.examples, recipe, work.seed, work.scratch, work.name, base)


def _check_processes(recipe: Recipe) -> None:
    """Make sure that the recipe can be trained by as many processes as there are.

    Raises:
        TrainingError: it cannot.
    """
    if processes.count() > 1 and recipe.same_documents:
        raise TrainingError("--freeze-documents is trained in one process: leave out torchrun")


def _check_model(base: SentenceTransformer, recipe: Recipe) -> None:
    """Make sure that the recipe can train the base model, before long work is done.

    Raises:
        TrainingError: it cannot.
    """
    if recipe.same_documents:
        check_one_branch(base)
    dimension = base.get_embedding_dimension() or 0
    if recipe.dims and max(recipe.dims) > dimension:
        raise TrainingError(f"--dims {max(recipe.dims)}: the base model has only {dimension} dimensions")


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
