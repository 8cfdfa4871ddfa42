"""Moves a vector index to another model: beside the serving vectors, compared, cut over, and back."""
