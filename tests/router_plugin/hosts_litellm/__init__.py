"""LiteLLM's proxy, in an environment of its own, asks our server which model answers: ``make test-hosts``."""
