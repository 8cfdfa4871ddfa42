"""Prepared data: BEIR folders, and how rows are chunked, split and laid out in them."""
