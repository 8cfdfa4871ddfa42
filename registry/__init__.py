"""Model registry: versions of domain encoders with their lineage, aliases, and artifacts checked on every load."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
