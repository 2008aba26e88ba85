"""What a language knows: its words, their frequencies, emoji, and what is never offered."""
