"""The Model Context Protocol: the domain classifier and the router as tools of agents."""
