"""The server's application on Ray Serve: replicas that answer requests, and replicas that encode."""
