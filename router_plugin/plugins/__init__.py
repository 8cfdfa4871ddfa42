"""The plugin manager and the built-in plugins."""
