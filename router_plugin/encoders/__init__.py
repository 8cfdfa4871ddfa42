"""Stage 2: encoders of domains, their memory and their cached vectors."""
