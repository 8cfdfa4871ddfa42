"""Tests of registry.pages."""
