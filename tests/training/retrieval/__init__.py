"""Tests of training.retrieval."""
