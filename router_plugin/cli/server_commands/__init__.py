"""Commands that run a server and connect others to it."""
