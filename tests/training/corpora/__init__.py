"""Tests of corpora in shards."""
