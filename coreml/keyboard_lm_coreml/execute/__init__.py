"""A Core ML program run without Core ML."""
