"""Webhooks, against a receiver on this machine that fails in every way."""
