"""The errors of this project, all below one root, and the registry's own.

The tree, with the modules that define the errors other than these::

    DomainRouterError
      InvalidNameError (and ValueError)
      BaseModelError
      RegistryError
        NotRegisteredError (and LookupError)
        DamagedArtifactError
        PolicyError
        NotPermittedError
        GateError
        ChangedError
        ExchangeError
        SignatureError
        WebhookError
      OutputError
        CacheError                      registry.shared.sqlite_cache
      VariantError
      ClusterError
      SourceError                       training.errors
      PreparedDataError                 training.errors
      CorpusError                       training.errors
      TrainingError                     training.errors
      LanguageModelError                training.errors
        BudgetError                     training.errors
      RoutesError                       router_plugin.errors
      SettingsError                     router_plugin.errors
      FittedError                       router_plugin.errors
      QueryError (and TypeError)        router_plugin.errors
      ClosedError                       router_plugin.errors
      ForkedError                       router_plugin.errors
      CopyError (and TypeError)         router_plugin.errors
      ComparisonError                   router_plugin.errors
      ImprovementError                  router_plugin.errors
      KeysError                         router_plugin.errors
      ServerError                       router_plugin.errors
      ExportError                       router_plugin.errors
      ReindexError                      router_plugin.errors
      CandidateIndexError               router_plugin.errors
      RequestError                      router_plugin.server.errors
        NoKeyError                      router_plugin.server.errors
        NotAllowedError                 router_plugin.server.errors
        NotFoundError                   router_plugin.server.errors
        UnknownModelError               router_plugin.server.errors
        UnknownToolError                router_plugin.server.errors
        TooLargeError                   router_plugin.server.errors
        LimitError                      router_plugin.server.errors
        OverloadedError                 router_plugin.server.errors
        RateLimitError                  router_plugin.server.errors
        NotServingError                 router_plugin.server.errors
        TimedOutError                   router_plugin.server.errors
        FileChangedError                router_plugin.server.editing.route_files
      ClientError                       router_plugin.client.errors
        UnavailableError                router_plugin.client.errors
        RefusedError                    router_plugin.client.errors
        UnexpectedAnswerError           router_plugin.client.errors
      PluginError                       router_plugin.errors
        NoAnswerError                   router_plugin.errors
      JointSpaceError                   router_plugin.errors
      CommandError                      router_plugin.cli.errors
      ConfigError                       router_plugin.cli.config_file
"""

from collections.abc import Sequence
from typing import Any


class DomainRouterError(Exception):
    """Something that the user can fix; the text says what is wrong, where, and what to do."""


class InvalidNameError(DomainRouterError, ValueError):
    """Invalid domain, alias, reference, test set or file name."""


class BaseModelError(DomainRouterError):
    """A base model was not found, is invalid, or does not fit its adapter."""


class RegistryError(DomainRouterError):
    """The registry cannot be opened, read or written."""


class NotRegisteredError(RegistryError, LookupError):
    """Unknown domain, version or alias."""


class DamagedArtifactError(RegistryError):
    """An artifact file is missing, cannot be read, or does not have the recorded digest."""


class PolicyError(RegistryError):
    """A policy is invalid, or names a role or a key that does not exist."""


class NotPermittedError(RegistryError):
    """An alias is protected from this user."""


class GateError(RegistryError):
    """A version is not promoted: it was retired, or does not hold what the policy demands.

    Attributes:
        name: of the version.
        verdicts: every line of the decision, :class:`registry.gates.verdicts.Verdict`.
    """

    def __init__(self, message: str, name: str | None = None, verdicts: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.verdicts = tuple(verdicts)


class ChangedError(RegistryError):
    """Something is not moved, because somebody else has moved it since it was looked at."""


class ExchangeError(RegistryError):
    """A version cannot be exported to, or imported from, a file or another registry."""


class SignatureError(RegistryError):
    """A version is not signed by a key that is trusted, was changed, or cannot be signed."""


class WebhookError(RegistryError):
    """A webhook cannot be added as it is given."""


class OutputError(DomainRouterError):
    """The output path is not writable, or overwriting was not allowed."""


class ClusterError(DomainRouterError):
    """A Ray cluster cannot be reached, or has no room for some work."""


class VariantError(DomainRouterError):
    """A variant of a model cannot be made or run on this machine."""
