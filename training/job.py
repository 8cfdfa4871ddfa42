"""A training job: everything that decides which model ``adapt`` makes, checked when it is put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from functools import cached_property

from registry import BaseModelFiles, ModelRecord
from registry.records import DatasetRecord
from training import checks
from training.judges.grades import RelevanceJudge
from training.mining.bundled_questions import bundled_questions
from training.options import TrainingOptions
from training.prepared.format import PreparedData
from training.prepared.joined import complete_batch_shares, join
from training.prepared.overlap import KeptApart, keep_apart
from training.recipes.recipes import Contrastive, Recipe
from training.reporting.report import Baseline, TrainingIdentity
from training.reporting.single_set_baselines import baseline_summary
from training.splitting.near_duplicates import Grouping, near_duplicates


@dataclass(frozen=True)
class TrainingJob(TrainingOptions):
    """How one model is made. The options of :class:`training.options.TrainingOptions` are fields of it as well.

    It is checked at construction, so that a job that exists can be run: who builds one from a command line, a file or
    a request learns what is wrong with it there, before any model is loaded.

    Attributes:
        data: prepared data; or several sets by name, each of which is ranked and measured over its own documents. Then
            metrics are means over sets, and the report also has the metrics of each set.
        domain: name of the domain.
        base: where adaptation starts.
        recipe: how to train. The job's own is fitted to the number of training queries.
        extra_test_sets: other prepared data by name; the base and the chosen model are measured on their test splits
            too.
        mixed: other prepared data by name, whose training queries are used for training, too; see also
            ``without_bundled_questions``.
        guards: other prepared data by name, which are neither trained on nor tested: on their dev queries the model may
            not lose more than ``guard_loss`` says, by default nothing, which bounds the interpolation weight.
        single_set_baselines: for any of several sets, by name, the model that was trained on it alone; the report
            compares with it.
        judge: grades the documents that each iteration ranks first for the training queries and that are not known to
            be relevant; by default only the labels of the data count. All seeds use the same grades.

    Raises:
        TrainingError: data without the queries that are needed, or that the recipe cannot join or mix in; batch shares
            that do not sum to 1; a limit for an unknown set; a baseline that was trained on other data; a judge that
            the recipe cannot use; an option that is out of range.
        InvalidNameError: an invalid name of the domain or of a set.
    """

    data: PreparedData | Mapping[str, PreparedData]
    domain: str
    base: BaseModelFiles
    recipe: Recipe = field(default_factory=Contrastive)
    _: KW_ONLY
    extra_test_sets: Mapping[str, PreparedData] = field(default_factory=dict)
    mixed: Mapping[str, PreparedData] = field(default_factory=dict)
    guards: Mapping[str, PreparedData] = field(default_factory=dict)
    single_set_baselines: Mapping[str, ModelRecord] = field(default_factory=dict)
    judge: RelevanceJudge | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipe", self.recipe.fitted(len(self.training_set.qrels["train"])))
        TrainingOptions(**{each.name: getattr(self, each.name) for each in fields(TrainingOptions)})  # checks them
        checks.check_job(self)

    @cached_property
    def training_set(self) -> PreparedData:
        """The data as one set, whose parts are the sets that were given."""
        return self.data if isinstance(self.data, PreparedData) else join(self.data)

    @cached_property
    def all_mixed(self) -> dict[str, PreparedData]:
        """What is mixed in: the sets that were given, and as many bundled questions as a pass can use."""
        count = self.recipe.mixed_examples(len(self.training_set.qrels["train"]))
        wanted = count and not self.without_bundled_questions
        return {**(bundled_questions(self.base.path, count) if wanted else {}), **self.mixed}

    def keep_apart(self, grouping: Grouping = near_duplicates) -> KeptApart:
        """The data as they are trained on, without training queries that another set holds out.

        Args:
            grouping: finds near-duplicates.

        Raises:
            TrainingError: no training query of a set is left.
        """
        sets = self.training_set.parts or {"": self.training_set}
        return keep_apart(sets, self.all_mixed, self.extra_test_sets, self.guards, grouping)

    @cached_property
    def complete_batch_shares(self) -> dict[str, float]:
        """The fraction of the batches of every set; empty for a single set."""
        return complete_batch_shares(self.training_set, self.batch_shares)

    def identity(self) -> TrainingIdentity:
        """Everything that decides the weights: a run goes on only with the same."""
        seeds, shares = list(self.seeds), self.complete_batch_shares
        return TrainingIdentity(
            domain=self.domain,
            base_model=self.base.record(),
            recipe=self.recipe.name,
            options={
                **self.recipe.model_dump(),
                **({"seed": seeds[0]} if len(seeds) == 1 else {"seeds": seeds}),
                **({"shares": shares} if shares else {}),
                **({"guard_loss": self.guard_loss} if self.guard_loss else {}),
            },
            dataset=_lineage(self.training_set),
            joined={name: _lineage(part) for name, part in self.training_set.parts.items()},
            mixed={name: _lineage(other) for name, other in self.all_mixed.items()},
            guards={name: _lineage(guard) for name, guard in self.guards.items()},
            judge=self.judge.identity if self.judge else None,
            judge_depth=self.judge_depth if self.judge else None,
            encoded_with=self.encode_with or "torch",
        )

    def baselines(self) -> dict[str, Baseline]:
        """What the report says of the single-set baselines, which change no weights."""
        return {name: baseline_summary(model) for name, model in self.single_set_baselines.items()}

    def fingerprints(self) -> dict[str, str]:
        """Of every test set but the domain's own, by name."""
        return {name: data.fingerprint for name, data in {**self.training_set.parts, **self.extra_test_sets}.items()}


def _lineage(data: PreparedData) -> DatasetRecord:
    return DatasetRecord(fingerprint=data.fingerprint, counts=data.manifest["counts"])
