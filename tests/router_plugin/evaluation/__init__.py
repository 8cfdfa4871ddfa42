"""Tests of router_plugin.evaluation."""
