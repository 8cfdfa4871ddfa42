"""Signatures of versions: what is signed, with which key, and who is trusted."""
