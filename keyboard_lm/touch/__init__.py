"""Where fingers fall: keyboard layouts, and how likely a word is to be typed so."""
