"""Tests of the room ``routes_text``."""
