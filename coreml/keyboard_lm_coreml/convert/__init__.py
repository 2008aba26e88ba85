"""A checkpoint to a Core ML program."""
