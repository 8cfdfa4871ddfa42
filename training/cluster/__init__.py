"""Where the same work on many things is done: in this process, or by the actors of a Ray cluster."""
