"""Relevance judges: who grades what the labels leave open."""
