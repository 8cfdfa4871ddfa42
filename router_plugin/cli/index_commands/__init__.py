"""``domain-router index`` and ``reindex``: commands on vector indexes."""
