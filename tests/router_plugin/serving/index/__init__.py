"""Candidates in an index, in a real Qdrant inside of the process and a real PostgreSQL with pgvector."""
