"""Tests of router_plugin.server."""
