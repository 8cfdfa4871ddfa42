"""Tuning a router: thresholds from labelled queries, evaluation, and explanations of single decisions."""
