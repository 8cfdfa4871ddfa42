"""The server's endpoints, by contract."""
