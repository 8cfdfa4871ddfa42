"""Adapters to the routers that people already run."""
