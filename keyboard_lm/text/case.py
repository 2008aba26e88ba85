"""Letters without their case."""

from __future__ import annotations

from functools import lru_cache

_MAX_REMEMBERED = 8192


def fold(text: str) -> str:
    """Return `text` in lower case, character by character, so that its length stays.

    Words that differ only in case are one suggestion, and a typed small letter matches a capital; `str.casefold`
    would change lengths (``ß``), and a typed prefix could no longer be cut from a word.
    """
    if text.isascii():
        return text.lower()
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


fold_word = lru_cache(maxsize=_MAX_REMEMBERED)(fold)  # for words, the same ones again and again; `fold` for texts
