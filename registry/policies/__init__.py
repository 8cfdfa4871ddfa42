"""Policies: what a version must hold to be promoted, and who may move an alias; kept in the registry."""
