"""Measured on labelled queries: the domain classifier and the routes."""
