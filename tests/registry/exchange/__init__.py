"""Tests of versions that leave a registry and come to one."""
