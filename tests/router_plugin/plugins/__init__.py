"""Tests of router_plugin.plugins."""
