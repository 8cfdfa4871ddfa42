"""Tests of router_plugin.hosts."""
