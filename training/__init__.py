"""Training: from question-answer pairs to an adapted, measured and registered embedding model."""

from typing import TYPE_CHECKING

from registry.lazy import lazy_names

if TYPE_CHECKING:
    from training.adaptation import adapt
    from training.errors import PreparedDataError, SourceError, TrainingError
    from training.pairs import read_pairs
    from training.preparation import PrepareOptions, prepare
    from training.prepared import PreparedData, read_prepared
    from training.publishing import publish
    from training.recipes import Contrastive, ReferenceTriplet

__all__ = [
    "Contrastive",
    "PrepareOptions",
    "PreparedData",
    "PreparedDataError",
    "ReferenceTriplet",
    "SourceError",
    "TrainingError",
    "adapt",
    "prepare",
    "publish",
    "read_pairs",
    "read_prepared",
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
        "TrainingError": "errors",
        "adapt": "adaptation",
        "prepare": "preparation",
        "publish": "publishing",
        "read_pairs": "pairs",
        "read_prepared": "prepared",
    },
)
