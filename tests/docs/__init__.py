"""What the README and the documentation show is run, page by page."""
