"""The HTTP server of a router."""
