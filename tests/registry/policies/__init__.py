"""Tests of registry.policies."""
