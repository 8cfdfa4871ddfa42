"""``domain-router reindex``: commands on vector indexes."""
