"""The keys of a phone's keyboard: a layout's letters, or digits and punctuation, with the keys around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from keyboard_lm.touch.layout import SPACE, Layout, Tap

Action = Literal["type", "shift", "backspace", "page", "send"]
Page = Literal["letters", "symbols"]
Face = tuple[Action, str]  # what a key does, what is on it

_SYMBOLS = ("1234567890", '-/:;()$&@"', "#%+?!'")
_SHIFT: Face = ("shift", "⇧")
_BACKSPACE: Face = ("backspace", "⌫")
_LEAST_WIDTH = 1.0  # of shift and backspace beside the letters; where there is less room they go below


@dataclass(frozen=True)
class Key:
    """A key, its edges in the units of `Tap`.

    Attributes:
        action: what it does.
        label: what is on it; of one that types, the character.
        row: from the top.
        left: x of its left edge.
        right: x of its right edge.
        has_place: whether the layout knows the key, so that a touch of it is a tap.
    """

    action: Action
    label: str
    row: int
    left: float
    right: float
    has_place: bool = False


class KeyPage:
    """One page of a keyboard.

    Args:
        layout: of the letters.
        page: which one.

    Attributes:
        rows: keys by row, from the left; the space bar is in the last.
        width: of the keyboard, in key widths.
    """

    def __init__(self, layout: Layout, page: Page) -> None:
        last, bottom = layout.rows[-1], len(layout.rows)
        last_right, space_right = last.left + len(last.keys), layout.space_left + layout.space_width
        self.width = max(space_right, *(row.left + len(row.keys) for row in layout.rows))
        shift = [_SHIFT] if page == "letters" else []
        left: list[Face] = [("page", "123" if page == "letters" else "abc"), ("type", ",")]
        right: list[Face] = [("type", "."), ("send", "send")]
        keys = list(_letters(layout) if page == "letters" else _symbols(self.width, bottom))
        if min(last.left, self.width - last_right) >= _LEAST_WIDTH:
            keys += _filled(bottom - 1, 0, last.left, shift)
            keys += _filled(bottom - 1, last_right, self.width, [_BACKSPACE])
        else:
            left[1:1] = shift
            right[1:1] = [_BACKSPACE]
        keys += _filled(bottom, 0, layout.space_left, left)
        keys.append(Key("type", SPACE, bottom, layout.space_left, space_right, has_place=True))
        keys += _filled(bottom, space_right, self.width, right)
        in_order = sorted(keys, key=lambda key: key.left)
        self.rows = tuple(tuple(key for key in in_order if key.row == row) for row in range(bottom + 1))

    def key_at(self, place: Tap) -> Key | None:
        """Return the key at a place; None between and outside the keys."""
        row = self.rows[int(place.y)] if 0 <= place.y < len(self.rows) else ()
        return next((key for key in row if key.left <= place.x < key.right), None)


def _letters(layout: Layout) -> Iterator[Key]:
    for number, row in enumerate(layout.rows):
        for column, char in enumerate(row.keys):
            yield Key("type", char, number, row.left + column, row.left + column + 1, has_place=True)


def _symbols(width: float, num_rows: int) -> Iterator[Key]:
    for number, chars in enumerate(_SYMBOLS[:num_rows]):
        first = (width - len(chars)) / 2
        for column, char in enumerate(chars):
            yield Key("type", char, number, first + column, first + column + 1)


def _filled(row: int, left: float, right: float, faces: Sequence[Face]) -> Iterator[Key]:
    # Keys of equal width that fill a row between two places.
    for number, (action, label) in enumerate(faces):
        width = (right - left) / len(faces)
        yield Key(action, label, row, left + number * width, left + (number + 1) * width)
