"""Tests of router_plugin.classifier."""
