"""Words that are left alone for how they look, and texts in capitals, where that says nothing."""

from __future__ import annotations

from functools import lru_cache

from keyboard_lm.text.case import fold
from keyboard_lm.touch.layout import SPACE

_MAX_REMEMBERED = 4096  # words; asked about twice a key
_ADDRESS_SIGNS = frozenset("@/\\:#&_~+=<>|^*")


def has_form_to_keep(text: str, word: str) -> bool:
    """Return whether the word that ends a text holds digits, is of an address, or has capitals inside or throughout."""
    return _has_form_to_keep(text[text.rfind(SPACE) + 1 :], word)


@lru_cache(maxsize=_MAX_REMEMBERED)
def _has_form_to_keep(chunk: str, word: str) -> bool:
    return (
        (not chunk.isalpha() and _is_no_prose(chunk))
        or "www" in chunk
        or word[1:] != fold(word[1:])
        or not any(char.isalpha() for char in word)
        or not word[-1].isalpha()
    )


def is_shouted(text: str, word: str) -> bool:
    """Return whether the word that ends a text is in capitals behind others that are: no abbreviation."""
    if len(word) < 2 or not word.isupper() or word == fold(word):  # some capitals have no small letter of one character
        return False
    line = text[text.rfind("\n") + 1 : len(text) - len(word)]
    before = [each for each in line.split() if any(map(str.isalpha, each))]
    return bool(before) and all(map(str.isupper, before)) and any(sum(map(str.isalpha, each)) > 1 for each in before)


def _is_no_prose(chunk: str) -> bool:
    return any(map(str.isdigit, chunk)) or not _ADDRESS_SIGNS.isdisjoint(chunk) or "." in chunk.strip(".")
