"""Relevance judges: they grade documents for which the data have no label."""
