"""One vector space for the vectors of all domains."""
