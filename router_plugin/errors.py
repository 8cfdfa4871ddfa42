"""What can go wrong between a query and its route."""

from registry import DomainRouterError


class RoutesError(DomainRouterError):
    """Routes are missing, malformed, or name a domain that is not registered."""


class SettingsError(DomainRouterError):
    """A setting has a value that there is not."""


class QueryError(DomainRouterError, TypeError):
    """A query is not text."""


class PluginError(DomainRouterError):
    """A plugin could not be loaded, or raised; the text names it."""
