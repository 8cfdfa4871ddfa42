"""Tests of training.synthesis."""
