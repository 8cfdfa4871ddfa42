"""Model folders: base models, adapters and compiled variants, and loading them."""
