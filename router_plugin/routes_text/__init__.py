"""The text of a routes file: how routes are written in it, where they stand, and how they are changed there."""
