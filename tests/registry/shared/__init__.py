"""Tests of registry.shared."""
