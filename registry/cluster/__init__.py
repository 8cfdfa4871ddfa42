"""A Ray cluster: how a process joins one or starts one, and whether it has room for some work."""
