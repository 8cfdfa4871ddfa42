"""Drift and maps."""
