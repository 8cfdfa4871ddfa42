"""Training: from question-answer pairs or labelled texts to an adapted, measured and registered embedding model."""

from typing import TYPE_CHECKING

from registry.shared.lazy import lazy_names

if TYPE_CHECKING:
    from training.adaptation import adapt
    from training.errors import PreparedDataError, SourceError, TrainingError
    from training.prepared.format import PreparedData, read_prepared
    from training.prepared.judged import prepare_judged
    from training.prepared.labelled import prepare_labels
    from training.prepared.preparation import PrepareOptions, prepare
    from training.prepared.split_options import SplitOptions
    from training.publishing import publish
    from training.recipes.recipes import Contrastive, ReferenceTriplet
    from training.sources.beir import read_beir
    from training.sources.labels import read_labels
    from training.sources.logs import read_logs
    from training.sources.pairs import read_pairs
    from training.sources.triplets import read_triplets

__all__ = [
    "Contrastive",
    "PrepareOptions",
    "PreparedData",
    "PreparedDataError",
    "ReferenceTriplet",
    "SourceError",
    "SplitOptions",
    "TrainingError",
    "adapt",
    "prepare",
    "prepare_judged",
    "prepare_labels",
    "publish",
    "read_beir",
    "read_labels",
    "read_logs",
    "read_pairs",
    "read_prepared",
    "read_triplets",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Contrastive": "recipes.recipes",
        "PrepareOptions": "prepared.preparation",
        "PreparedData": "prepared.format",
        "PreparedDataError": "errors",
        "ReferenceTriplet": "recipes.recipes",
        "SourceError": "errors",
        "SplitOptions": "prepared.split_options",
        "TrainingError": "errors",
        "adapt": "adaptation",
        "prepare": "prepared.preparation",
        "prepare_judged": "prepared.judged",
        "prepare_labels": "prepared.labelled",
        "publish": "publishing",
        "read_beir": "sources.beir",
        "read_labels": "sources.labels",
        "read_logs": "sources.logs",
        "read_pairs": "sources.pairs",
        "read_prepared": "prepared.format",
        "read_triplets": "sources.triplets",
    },
)
