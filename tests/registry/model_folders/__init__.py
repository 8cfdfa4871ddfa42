"""Tests of registry.model_folders."""
