"""Commands that route, compare and administer models."""
