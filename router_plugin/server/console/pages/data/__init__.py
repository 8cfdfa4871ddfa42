"""The page with a map of a domain's texts as an encoder sees them."""
