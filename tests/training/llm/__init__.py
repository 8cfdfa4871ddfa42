"""Tests of training.llm."""
