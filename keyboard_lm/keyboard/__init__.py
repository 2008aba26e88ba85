"""The keyboard itself; `session` is where to start reading."""
