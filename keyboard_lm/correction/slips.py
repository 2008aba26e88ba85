"""Slips that the trie does not look for: a letter hit for the space, a digit of the row above hit for a letter."""

from __future__ import annotations

from collections.abc import Iterator

from keyboard_lm.text.case import fold
from keyboard_lm.touch.layout import SPACE, Layout

_DIGITS = "1234567890"
_REACH = 1.0  # key widths from a digit's centre to that of the letters below it


def letters_below_digits(layout: Layout) -> dict[str, str]:
    """Return for each digit the letters of the top row that its key, if there is a row of them, lies above."""
    top = sorted((centre.x, char) for char in layout.characters if (centre := layout.centre(char)) and centre.y < 1)
    if len(top) < len(_DIGITS):
        return {}
    return {
        digit: "".join(char for x, char in top if char.isalpha() and abs(x - top[place][0]) <= _REACH)
        for place, digit in enumerate(_DIGITS)
    }


def keys_above_space(layout: Layout) -> frozenset[str]:
    """Return the letters whose keys touch the space bar."""
    space = layout.centre(SPACE)
    if space is None:
        return frozenset()
    return frozenset(
        char
        for char in layout.characters
        if char.isalpha()
        and (key := layout.centre(char))
        and round(space.y - key.y) == 1
        and _is_over_bar(layout, key.x)
    )


def _is_over_bar(layout: Layout, x: float) -> bool:
    return layout.space_left <= x <= layout.space_left + layout.space_width


def pairs_of(word: str, above_space: frozenset[str]) -> Iterator[tuple[str, str, bool]]:
    """Yield the ways to read letters as two words, each with whether a letter stands where the space was meant."""
    for place in range(1, len(word)):
        left, right = word[:place], word[place:]
        if right[0].isalpha():
            yield left, right, False
        if fold(right[0]) in above_space and len(right) > 1 and right[1].isalpha():
            yield left, right[1:], True


def without_digit(word: str, below: dict[str, str]) -> Iterator[str]:
    """Yield what a word with one digit inside may have been: a letter in the place of that."""
    places = [i for i, char in enumerate(word) if not char.isalpha()]
    if len(places) == 1 and places[0] > 0 and len(word) >= 4:
        place = places[0]
        for letter in below.get(word[place], ""):
            yield word[:place] + letter + word[place + 1 :]
