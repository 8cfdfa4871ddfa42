"""Tests of router_plugin.encoders."""
