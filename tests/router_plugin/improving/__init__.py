"""Tests of router_plugin.improving."""
