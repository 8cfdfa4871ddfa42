"""Serving strategies side by side on the same queries."""
