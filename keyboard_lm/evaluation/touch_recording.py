"""Recordings of taps on a phone's keyboard, one JSON object on each line.

A line has ``prompt``, ``session``, ``screen`` (``height``), ``keys`` (``code``, ``x``, ``y``, ``width``, ``height``;
from the keyboard's top left corner) and ``events`` (``type``, ``x``, ``y`` on the screen, ``code``). The keyboard is at
the bottom of the screen. The unit of length is the letter key, as in `keyboard_lm.touch.layout`: its width, and the
distance between two rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from keyboard_lm.touch.layout import Tap

BACKSPACE = "\b"
_PRESSES = ("mousedown", "touchstart")
_MOVES = ("mousemove", "touchmove")
_RELEASES = ("mouseup", "touchend", "touchcancel")
_PRINTABLE = range(32, 0x110000)


@dataclass(frozen=True)
class Press:
    """One tap.

    Attributes:
        char: what the key that was hit types, lower-case; `BACKSPACE`; None for shift, return and other pages.
        tap: its place, in the units of `keyboard_lm.touch.layout`.
    """

    char: str | None
    tap: Tap


@dataclass(frozen=True)
class TouchRecording:
    """One sentence copied.

    Attributes:
        session: who typed it.
        prompt: the sentence.
        presses: every tap, in order.
        centres: of the keys that type a character, lower-case.
        is_mouse: whether the pointer moved without a button pressed, which no finger does.
    """

    session: str
    prompt: str
    presses: tuple[Press, ...]
    centres: Mapping[str, Tap]
    is_mouse: bool


def parse_recording(values: Mapping[str, Any]) -> TouchRecording:
    """Build a recording from one parsed line.

    Raises:
        KeyError, TypeError, ValueError: it is not in the format above.
    """
    keys = [key for key in values["keys"] if key["code"] in _PRINTABLE]
    tops = sorted({key["y"] for key in keys})
    letters = [key for key in keys if chr(key["code"]).isalpha()]
    if len(tops) < 2 or not letters:
        raise ValueError("its keyboard has no rows of letter keys")
    width = min(key["width"] for key in letters)
    pitch = min(below - above for above, below in pairwise(tops))
    first = min(letters, key=lambda key: (key["y"], key["x"]))
    if width <= 0:
        raise ValueError("its keys have no width")
    top = first["y"] - (pitch - first["height"]) / 2  # rows touch: half of the space between two belongs to each
    bottom = max(key["y"] + key["height"] for key in values["keys"])
    screen_top = values["screen"]["height"] - bottom

    def place(x: float, y: float) -> Tap:
        return Tap((x - first["x"]) / width, (y - top) / pitch)

    centres = {
        chr(key["code"]).lower(): place(key["x"] + key["width"] / 2, key["y"] + key["height"] / 2) for key in keys
    }
    presses = tuple(
        Press(_char(event["code"]), place(event["x"], event["y"] - screen_top))
        for event in values["events"]
        if event["type"] in _PRESSES
    )
    return TouchRecording(
        str(values["session"]), str(values["prompt"]), presses, centres, _hovers([e["type"] for e in values["events"]])
    )


def _char(code: str | int | None) -> str | None:
    if code is None:  # beside every key
        return None
    number = int(code)
    if number == ord(BACKSPACE):
        return BACKSPACE
    return chr(number).lower() if number in _PRINTABLE else None


def _hovers(types: list[str]) -> bool:
    is_down = False
    for kind in types:
        if kind in _MOVES and not is_down and any(release in types for release in _RELEASES):
            return True
        is_down = kind in _PRESSES or (is_down and kind not in _RELEASES)
    return False
