"""Few bits for a weight: look-up tables and blocks."""
