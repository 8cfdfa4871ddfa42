"""How a model is fine-tuned: recipes, losses, adapters and interpolated weights."""
