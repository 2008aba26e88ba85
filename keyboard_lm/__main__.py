"""Lets `python -m keyboard_lm` stand for `keyboard-lm`."""

from keyboard_lm.cli import run

run()
