"""Tests of training.runs."""
