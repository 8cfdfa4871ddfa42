"""Tests of the package ``router_plugin``."""
