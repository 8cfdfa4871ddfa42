"""Errors of training; the whole tree is drawn in :mod:`registry.errors`."""

from registry import DomainRouterError


class SourceError(DomainRouterError):
    """A source of training data cannot be read, or has an invalid row."""


class PreparedDataError(DomainRouterError):
    """A folder of prepared data is missing, incomplete or changed."""


class CorpusError(DomainRouterError):
    """A corpus in shards cannot be read, encoded or ranked."""


class TrainingError(DomainRouterError):
    """Training cannot start or continue with these arguments, data or models."""


class LanguageModelError(DomainRouterError):
    """A language model cannot be called, or gives no usable answer."""


class BudgetError(LanguageModelError):
    """The budget for a language model is used up."""
