"""What the server says of itself and of what failed: errors, metrics and log."""
