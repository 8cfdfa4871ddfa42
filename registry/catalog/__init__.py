"""The catalogue of versions: rows written by publications, and read."""
