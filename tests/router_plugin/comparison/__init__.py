"""Tests of router_plugin.comparison."""
