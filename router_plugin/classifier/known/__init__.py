"""What domains are known by, beside the profiles of their models."""
