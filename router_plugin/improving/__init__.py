"""Improving routes by a router's log: utterances, thresholds, routes to split or merge, and new domains."""
