"""Chooses the interpolation weight of the medical adapter, measures it, and writes its model folder.

    python models/measure_medical.py ADAPTER WORK MODEL-FOLDER

make_medical.sh calls it. The adapter was trained on a GPU with base weights in half precision (benchmarks/RESULTS.md,
"Larger batches with people's words"). Everything here is measured with the published ones, encoding in bfloat16. WORK
holds the prepared sets, and keeps embeddings, so that a killed run goes on.
"""

import sys
from functools import partial
from pathlib import Path

import torch

from registry import resolve_base_model
from registry.model_folders.adapters import attach_weights
from training import Contrastive, TrainingJob, read_prepared
from training.model_folder import write_model_folder
from training.recipes.interpolation import DevSample, choose_weight, guards_of, interpolate
from training.recipes.model_modules import describe_model
from training.reporting.evidence import gather
from training.reporting.report import Iteration, TrainingReport
from training.reporting.test_sets import Outcome, TestSetEvaluator
from training.retrieval.encoding import load_model
from training.retrieval.hybrid import compare_hybrid
from training.retrieval.significance import compare_metrics
from training.retrieval.states import BASE_STATE, States
from training.retrieval.texts import Texts
from training.runs.run import Run

adapter, work, out = map(Path, sys.argv[1:])
OTHERS = ("medicationqa", "finance10k", "policyqa")
GUARDS = {"rqe": 0.01, "meqsum": 0.01}
"""With the nDCG@10 that each may lose: a single one of the 66 dev queries of meqsum can cost as much."""
MIXED = ("rqe", "meqsum", "finance", "legal", "medical")

trained_on = TrainingReport.load(adapter)
base = resolve_base_model()
data = read_prepared(work / "medquad")
assert data.fingerprint == trained_on.dataset.fingerprint, "other data than the adapter was trained on"
given = {name: value for name, value in trained_on.options.items() if name in Contrastive.model_fields}
job = TrainingJob(
    data,
    "medical",
    base,
    Contrastive(**given),
    extra_test_sets={name: read_prepared(work / name) for name in OTHERS},
    mixed={name: read_prepared(work / f"mixed-{name}") for name in MIXED},
    guards={name: read_prepared(work / f"mixed-{name}") for name in GUARDS},
    guard_loss=GUARDS,
    without_bundled_questions=True,
    seeds=(trained_on.options["seed"],),
)
identity = job.identity()
assert identity.mixed == trained_on.mixed, "other mixed-in data than the adapter was trained on"

torch.set_autocast_enabled("cpu", True)  # texts are encoded in bfloat16, in half of the time
torch.set_autocast_dtype("cpu", torch.bfloat16)

load = partial(load_model, device="cpu", base=base)
last = next(state for state in trained_on.iterations if state.name == trained_on.chosen)
with Run(work / "medical", {"adapter": last.name, **identity.model_dump(mode="json")}) as run:
    texts = Texts(data)
    states = States(run, base.path, load, texts, 64, "cpu")

    model = load(base.path)
    attach_weights(model, adapter, "default")
    interpolate(model, model, 1 / (last.interpolation_weight or 1))  # as it was trained, before it was interpolated
    if not run.model_folder("trained").exists():
        run.save_model("trained", model, base)

    def choose() -> dict[str, object]:
        """The smallest weight that keeps most of the gain, of those that the guards allow."""
        before, after = states[BASE_STATE], states["trained"]
        sample, guards = DevSample(before), guards_of(before, after, job.guards, job.guard_loss)
        weight = choose_weight(sample.of(before), sample.of(after), job.recipe.min_gain_kept, guards.values())
        return {"weight": weight, "guards": {name: guard.change(weight) for name, guard in guards.items()}}

    chosen = run.step("weight", choose)
    model = states["trained"].model
    interpolate(model, states[BASE_STATE].model, chosen["weight"])
    if not run.model_folder(last.name).exists():
        run.save_model(last.name, model, base)

    history = [
        Iteration(**run.step(BASE_STATE, lambda: {"name": BASE_STATE, "dev": states[BASE_STATE].metrics("dev")}))
    ]

    def measure() -> dict[str, object]:
        """The adapter on dev, against the base model."""
        before, after = (states[name].query_metrics("dev") for name in (BASE_STATE, last.name))
        spans = [queries for queries, _ in texts.spans("dev")]
        return {
            "name": last.name,
            "dev": states[last.name].metrics("dev"),
            "comparison": compare_metrics(before, after, job.seeds[0], spans),
        }

    kept = {name: getattr(last, name) for name in ("mined", "steps", "loss", "seconds")}
    found = run.step(last.name, measure)
    history.append(Iteration(**found, **kept, interpolation_weight=chosen["weight"], guards=chosen["guards"]))
    results = TestSetEvaluator(run, states, data, job.extra_test_sets).measure([Outcome(job.seeds[0], history)], {})
    hybrid = run.step("hybrid", partial(compare_hybrid, states[last.name], job.seeds[0]))
    model = states[last.name].model
    report = TrainingReport(
        **dict(identity),
        **results.fields(),
        **describe_model(model),
        single_set_baselines={},
        hybrid=hybrid,
        left_out=trained_on.left_out,
        device=trained_on.device,
        threads=trained_on.threads,
        seconds=trained_on.seconds,
    )
    evidence = gather(states, last.name, texts, {}, job.seeds[0])
    write_model_folder(out, job, model, states[BASE_STATE], job.seeds[0], report, evidence, results.by_query)
