"""Tests of training.lazy_texts."""
