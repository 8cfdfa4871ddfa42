"""Tests of training.sources."""
