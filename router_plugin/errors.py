"""Errors of routing; the whole tree is drawn in :mod:`registry.errors`."""

from registry import DomainRouterError


class RoutesError(DomainRouterError):
    """Routes are missing, malformed, or name a domain that is not registered."""


class SettingsError(DomainRouterError):
    """Invalid setting."""


class FittedError(DomainRouterError):
    """Fitted thresholds cannot be read or written, or were fitted for other models or settings."""


class QueryError(DomainRouterError, TypeError):
    """A query is not text, or labels or domains of queries are invalid."""


class ComparisonError(DomainRouterError):
    """A comparison has no valid task, or a configuration could not be measured."""


class ClosedError(DomainRouterError):
    """A router or its domains were used after they were closed."""


class ForkedError(DomainRouterError):
    """A router was used before its process was forked, and is used in the fork."""


class CopyError(DomainRouterError, TypeError):
    """Something cannot be copied or pickled, because it holds models or other resources of its process."""


class PluginError(DomainRouterError):
    """A plugin could not be loaded, or failed; the text names it."""


class NoAnswerError(PluginError):
    """No plugin answered a hook that needs an answer."""


class JointSpaceError(DomainRouterError):
    """A joint space cannot be made or loaded, or vectors of two joint spaces would be compared."""


class ImprovementError(DomainRouterError):
    """A log cannot improve routes, or what was proposed cannot be written."""


class KeysError(DomainRouterError):
    """A file of access keys cannot be read or written, or a key cannot be added or removed."""


class ServerError(DomainRouterError):
    """The server cannot be started as it was asked for, or a file that it writes cannot be used."""


class ExportError(DomainRouterError):
    """A configuration for another router cannot say what was asked for."""


class ReindexError(DomainRouterError):
    """A vector index cannot be moved to another model as it was asked for."""


class CandidateIndexError(DomainRouterError):
    """An index of candidates cannot be reached, is incomplete, or holds vectors of another space."""
