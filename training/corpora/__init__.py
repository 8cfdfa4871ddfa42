"""Corpora that need not fit in memory: cut into shards, encoded and ranked shard by shard, here or on a Ray cluster."""
