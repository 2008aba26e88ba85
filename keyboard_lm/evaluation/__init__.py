"""What a model is worth on text."""
