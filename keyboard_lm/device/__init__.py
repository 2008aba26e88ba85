"""What a call of the network costs on a phone, and what a keystroke may spend."""
