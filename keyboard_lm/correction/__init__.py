"""What may have been meant by what was typed, and when to put it in."""
