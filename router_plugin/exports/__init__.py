"""Configurations with which other routers ask the server."""
