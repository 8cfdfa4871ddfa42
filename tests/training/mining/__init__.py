"""Tests of training.mining."""
