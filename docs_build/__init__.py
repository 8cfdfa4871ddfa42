"""Builds the documentation site: pages generated from the code, and links between files of the repository."""
