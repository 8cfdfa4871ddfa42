"""Webhooks: events that are kept with the change, and sent afterwards, signed, until they are taken."""
