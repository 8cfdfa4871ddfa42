"""Protects the server: access keys, and bounds of requests."""
