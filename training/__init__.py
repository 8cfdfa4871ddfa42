"""Training: from question-answer pairs or labelled texts to an adapted, measured and registered embedding model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
