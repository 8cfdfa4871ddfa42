"""The training loop: measure the base model; mine, fine-tune, measure; keep the best on dev; test it once."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from registry import BaseModel
from registry.names import check_domain
from registry.profiles import Profile
from training.encoding import load_model
from training.errors import TrainingError
from training.finetune import finetune, interpolate
from training.metrics import DECIDING
from training.miners import Miner
from training.outputs import check_free, move_into_place, new_folder_beside
from training.prepared import PreparedData
from training.recipes import Contrastive, Recipe
from training.report import CARD, HEADLINE, REPORT, describe_model, model_card, write_report
from training.run import Run
from training.significance import compare
from training.states import State, Texts

log = logging.getLogger(__name__)

BASE = "base"


def adapt(
    data: PreparedData,
    domain: str,
    base: BaseModel,
    out: Path,
    recipe: Recipe | None = None,
    *,
    seed: int = 42,
    encode_batch: int = 64,
    device: str | None = None,
    trust_remote_code: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Adapt a base model to a domain and write the result as a model folder.

    The folder holds the model (safetensors), ``README.md`` (its card), ``report.json`` and the classifier profile. It
    appears whole or not at all; a run that was killed goes on where it was when it is started again with the same
    arguments.

    Args:
        data: prepared data.
        domain: name of the domain.
        base: where adaptation starts.
        out: the model folder to write.
        recipe: how to train; ``Contrastive()`` by default.
        seed: of everything random; the same seed on the same machine gives the same metrics.
        encode_batch: texts encoded at a time.
        device: as torch names it; by default a GPU where there is one.
        trust_remote_code: let the base model run code of its own.
        overwrite: replace an earlier model folder.

    Returns:
        The report.

    Raises:
        TrainingError: the folder exists, or another process is writing it.
        InvalidNameError: the domain's name is not allowed.
    """
    recipe = recipe or Contrastive()
    check_domain(domain)
    check_free(out, overwrite, REPORT)
    started = time.monotonic()
    identity = {
        "domain": domain,
        "base_model": base.record().model_dump(),
        "recipe": recipe.name,
        "options": {**asdict(recipe), "seed": seed},
        "dataset": {"fingerprint": data.fingerprint, "counts": data.manifest["counts"]},
    }
    load = partial(load_model, device=device, trust_remote_code=trust_remote_code)
    with Run(out, identity) as run:
        if run.resumed:
            log.warning("going on with the unfinished run in %s", run.folder)
        loop = _Loop(run, base.path, load, Texts(data), recipe, seed, encode_batch)
        history = loop.run_all()
        best = max(history, key=lambda entry: float(entry["dev"][DECIDING]))  # of equals the first: untouched, if it is
        report = {**identity, **loop.describe(history, best["name"]), "seconds": round(time.monotonic() - started, 1)}
        _write_model(out, loop, report)
        run.remove()
    return report


@dataclass
class _Loop:
    """What the iterations of a run share."""

    run: Run
    base: Path
    load: Callable[[Path], SentenceTransformer]
    texts: Texts
    recipe: Recipe
    seed: int
    encode_batch: int

    def __post_init__(self) -> None:
        self._states: dict[str, State] = {}

    def state(self, name: str) -> State:
        """The base model's state, or that of an iteration's result."""
        if name not in self._states:
            for other in self._states.values():
                other.forget_model()
            folder = self.base if name == BASE else self.run.model_folder(name)
            self._states[name] = State(
                name, self.run.embeddings(name), partial(self.load, folder), self.texts, self.encode_batch
            )
        return self._states[name]

    def run_all(self) -> list[dict[str, Any]]:
        """Mine, fine-tune and measure in turn; returns what was measured of each state, the base model first."""
        history = [self.run.step(BASE, partial(self.measure, BASE))]
        miner = self.recipe.miner(self.texts)
        for number in range(1, self.recipe.iterations + 1):
            mined = miner.mine(self.state(history[-1]["name"]).ranked("train"), self.seed + number)
            history.append(self.run.step(f"iteration-{number}", partial(self.iterate, number, miner, mined)))
            log.info("iteration %d: dev %s %.4f", number, DECIDING, history[-1]["dev"][DECIDING])
        return history

    def describe(self, history: list[dict[str, Any]], chosen: str) -> dict[str, Any]:
        """What the report says of the iterations and of the chosen model; only here is the test split used."""
        dev = {entry["name"]: entry["dev"] for entry in history}
        test = {
            name: self.run.step(f"test-{name}", partial(self.state(name).metrics, "test"))
            for name in dict.fromkeys((BASE, chosen))
        }
        return {
            "iterations": history,
            "chosen": chosen,
            "improved": chosen != BASE,
            "base_metrics": {"dev": dev[BASE], "test": test[BASE]},
            "adapted_metrics": {"dev": dev[chosen], "test": test[chosen]},
            "comparison": self.compare(chosen),
            **describe_model(self.state(chosen).model),
            "device": str(self.state(chosen).model.device),
            "threads": torch.get_num_threads(),
        }

    def compare(self, chosen: str) -> dict[str, dict[str, float]]:
        """How sure the chosen model's gain on the test split is, for each headline metric."""
        base, adapted = (self.state(name).query_metrics("test") for name in (BASE, chosen))
        return {name: asdict(compare(base[name], adapted[name], self.seed)) for name in HEADLINE}

    def profile(self, digest: str) -> Profile:
        """The domain's classifier profile; the base model has encoded the training queries already."""
        queries = self.texts.queries["train"]
        return Profile.from_queries(queries, self.state(BASE).query_embeddings("train"), digest, self.seed)

    def measure(self, name: str) -> dict[str, Any]:
        """Metrics of a state on the dev split."""
        return {"name": name, "dev": self.state(name).metrics("dev")}

    def iterate(self, number: int, miner: Miner, mined: int) -> dict[str, Any]:
        """Fine-tune from the weights of the iteration before, and measure them interpolated with the base model's."""
        started = time.monotonic()
        name, before = f"iteration-{number}", f"iteration-{number - 1}"
        shutil.rmtree(self.run.embeddings(name), ignore_errors=True)  # of weights that were trained before a crash
        model = self.load(self.base if number == 1 else self.run.model_folder(f"{before}-trained"))
        examples = miner.examples(self.seed + number)
        if not examples["anchor"]:
            raise TrainingError(f"recipe {self.recipe.name} found nothing to learn: the base model ranks too well")
        trained = finetune(model, examples, self.recipe, self.seed + number, self.run.scratch, name)
        self.run.save_model(f"{name}-trained", model)
        interpolate(model, self.load(self.base), self.recipe.interpolation)
        self.run.save_model(name, model)
        measured = self.measure(name)
        return {**measured, "mined": mined, **trained, "seconds": round(time.monotonic() - started, 1)}


def _write_model(out: Path, loop: _Loop, report: dict[str, Any]) -> None:
    """Write the model folder, all of it at once."""
    staging = new_folder_beside(out)
    try:
        loop.state(report["chosen"]).model.save_pretrained(str(staging), create_model_card=False)
        for weights in staging.rglob("*.safetensors"):  # safetensors writes them for the owner alone
            weights.chmod(0o644)
        loop.profile(report["base_model"]["weights_sha256"]).save(staging)
        (staging / CARD).write_text(model_card(report), encoding="utf-8")
        write_report(staging, report)
        move_into_place(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
