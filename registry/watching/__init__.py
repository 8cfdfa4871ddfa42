"""How readers learn of a change in a registry."""
