"""Splits rows into training, dev and test rows."""
