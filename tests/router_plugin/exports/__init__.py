"""Tests of router_plugin.exports."""
