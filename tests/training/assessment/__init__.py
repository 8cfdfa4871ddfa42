"""Tests of training.assessment."""
