"""Tests of registry.gates."""
