"""Tests of registry.texts."""
