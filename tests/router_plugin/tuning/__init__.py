"""Tests of router_plugin.serving."""
