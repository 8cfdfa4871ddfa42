"""Training runs that report to the server: what they send, where it is kept, and comparisons of several."""
