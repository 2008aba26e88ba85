"""Swipe typing: what word a finger meant that slid over the keys, by where it went and how fast."""
