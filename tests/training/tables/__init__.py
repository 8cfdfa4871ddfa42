"""Tests of training.tables."""
