"""Tests of router_plugin.cli."""
