"""What readers learn of changes, and when."""
