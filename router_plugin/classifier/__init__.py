"""Stage 1: the domain classifier."""
