"""Aliases: moved in a transaction, with a history that only grows."""
