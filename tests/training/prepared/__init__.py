"""Tests of training.prepared."""
