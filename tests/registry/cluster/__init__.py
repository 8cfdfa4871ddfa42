"""Tests of joining a Ray cluster, and of its room."""
