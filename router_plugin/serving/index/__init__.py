"""Candidates outside of the process: an index in Qdrant or pgvector, searched and scored like those in memory."""
