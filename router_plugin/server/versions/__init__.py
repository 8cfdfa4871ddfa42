"""Which versions answer: champions, candidates beside them, and those that clients name."""
