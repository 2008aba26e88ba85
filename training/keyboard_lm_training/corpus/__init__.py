"""Text to tokenized shards."""
