"""Two-stage domain routing: a classifier picks the domain, that domain's encoder picks the route."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
