"""``domain-router models`` and its commands: the registry, read and administered."""
