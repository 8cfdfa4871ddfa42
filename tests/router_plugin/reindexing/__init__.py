"""Moves of a vector index, in a real Qdrant and a real PostgreSQL with pgvector."""
