"""Training: from question-answer pairs or labelled texts to an adapted, measured and registered embedding model."""

from typing import TYPE_CHECKING

from registry.shared.lazy import lazy_names

if TYPE_CHECKING:
    from training.adaptation import adapt
    from training.beir import read_beir
    from training.dealing import prepare_labels
    from training.errors import PreparedDataError, SourceError, TrainingError
    from training.judgements import prepare_judged
    from training.labels import read_labels
    from training.logs import read_logs
    from training.pairs import read_pairs
    from training.preparation import PrepareOptions, prepare
    from training.prepared import PreparedData, read_prepared
    from training.publishing import publish
    from training.recipes import Contrastive, ReferenceTriplet
    from training.splitting import SplitOptions
    from training.triplets import read_triplets

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
        "Contrastive": "recipes",
        "PrepareOptions": "preparation",
        "PreparedData": "prepared",
        "PreparedDataError": "errors",
        "ReferenceTriplet": "recipes",
        "SourceError": "errors",
        "SplitOptions": "splitting",
        "TrainingError": "errors",
        "adapt": "adaptation",
        "prepare": "preparation",
        "prepare_judged": "judgements",
        "prepare_labels": "dealing",
        "publish": "publishing",
        "read_beir": "beir",
        "read_labels": "labels",
        "read_logs": "logs",
        "read_pairs": "pairs",
        "read_prepared": "prepared",
        "read_triplets": "triplets",
    },
)
