"""Models in folders: base models, adapters, compiled variants, and how each is loaded."""
