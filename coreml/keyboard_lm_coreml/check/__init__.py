"""Whether a package computes what its checkpoint does."""
