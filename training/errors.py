"""What can go wrong with the user's data and models in training."""

from registry import DomainRouterError


class SourceError(DomainRouterError):
    """A source of training data cannot be read, or a row of it is bad."""


class PreparedDataError(DomainRouterError):
    """A folder of prepared data is missing, incomplete or changed."""


class TrainingError(DomainRouterError):
    """Training cannot start or go on with what it was given."""


class LanguageModelError(DomainRouterError):
    """A language model cannot be asked, or gives no answer that can be used."""


class BudgetError(LanguageModelError):
    """What may be spent on a language model is used up."""
