"""The jobs of ``train-many``: how a file lists them, and how a Ray cluster runs them."""
