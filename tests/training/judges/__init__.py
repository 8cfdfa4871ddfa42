"""Tests of training.judges."""
