"""What a router serves with: domains, routes, candidates, scores and thresholds."""
