"""Texts that are read when they are needed: of a file, some of them, several sequences as one, in sorted order."""
