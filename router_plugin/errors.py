"""Errors of routing; the whole tree is drawn in :mod:`registry.errors`."""

from registry import DomainRouterError


class RoutesError(DomainRouterError):
    """Routes are missing, malformed, or name a domain that is not registered."""


class SettingsError(DomainRouterError):
    """Invalid setting."""


class FittedError(DomainRouterError):
    """What was fitted to labelled queries cannot be read or written, or is for other models or settings."""


class QueryError(DomainRouterError, TypeError):
    """A query is not text."""


class ComparisonError(DomainRouterError):
    """A comparison has no valid task, or a configuration could not be measured."""


class ClosedError(DomainRouterError):
    """A router or its domains were used after they were closed."""


class PluginError(DomainRouterError):
    """A plugin could not be loaded, or raised; the text names it."""


class NoAnswerError(PluginError):
    """No plugin answered a hook that needs an answer."""


class JointSpaceError(DomainRouterError):
    """A joint space cannot be made as it was asked for, or is another one than vectors were made in."""
