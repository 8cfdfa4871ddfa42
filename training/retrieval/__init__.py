"""Encode, rank and measure the states of a model."""
