"""What a domain contributes to the domain classifier."""
