"""Tests of router_plugin.joint_space."""
