"""The words of a text as a typist meets them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True)
class WordSpan:
    """One word of a text: letters and digits with the apostrophes inside; hyphens and points part words.

    Attributes:
        start: index of its first character.
        end: index after its last character.
        text: the word.
    """

    start: int
    end: int
    text: str


def words_of(text: str) -> Iterator[WordSpan]:
    """Yield the words of a text that `keyboard_lm.text.form.normalise` has seen (straight apostrophes)."""
    for match in _WORD.finditer(text):
        yield WordSpan(match.start(), match.end(), match.group())
