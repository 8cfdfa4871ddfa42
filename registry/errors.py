"""The root of the error tree that all three packages share, and the registry's own branch of it."""


class DomainRouterError(Exception):
    """Something the user can mend; the text says what is wrong, where, and what to do."""


class InvalidNameError(DomainRouterError, ValueError):
    """A domain, alias, reference or file name that is not allowed."""


class BaseModelError(DomainRouterError):
    """The base model could not be found, or is not what it claims to be."""


class RegistryError(DomainRouterError):
    """The registry could not do what was asked."""


class NotRegisteredError(RegistryError, LookupError):
    """No such domain, version or alias."""


class DamagedArtifactError(RegistryError):
    """An artifact file is missing, cannot be read, or its digest is not the recorded one."""


class OutputError(DomainRouterError):
    """An output folder may not be written, or cannot be."""


class VariantError(DomainRouterError):
    """A variant of a model cannot be made or run here."""
