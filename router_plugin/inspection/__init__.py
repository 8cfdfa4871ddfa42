"""What operators look at: whether queries drift away from the domains, and maps of texts as an encoder sees them."""
