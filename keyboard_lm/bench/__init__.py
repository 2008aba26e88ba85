"""Measurements of speed and memory on the machine at hand: what `keyboard-lm bench` runs."""
