"""Tests of registry.classifier_profiles."""
