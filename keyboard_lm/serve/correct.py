"""A whole text corrected as it would have been while it was typed, one question at a time."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from keyboard_lm.keyboard.bar import Answer, Request
from keyboard_lm.serve.messages import Corrected, CorrectionAt
from keyboard_lm.text.typing_rules import words_in


@dataclass
class _Part:
    # A stretch of the text and what it has become.
    start: int
    end: int
    text: str


def corrected(text: str) -> Generator[Request, Answer, Corrected]:
    """Ask for the answer behind each word, with all before it as it was corrected, and return the corrected text.

    A correction of two words takes the place of both.
    """
    parts: list[_Part] = []
    made = ""
    end = 0
    for start, stop in words_in(text, 0, len(text)):
        parts += [_Part(end, start, text[end:start]), _Part(start, stop, text[start:stop])]
        made += text[end:stop]
        end = stop
        correction = (yield Request(made)).correction
        if correction is not None and made.endswith(correction.replaced):
            first = _first(parts, len(correction.replaced))
            if first is not None:
                parts[first:] = [_Part(parts[first].start, stop, correction.text)]
                made = made[: len(made) - len(correction.replaced)] + correction.text
    if not parts:
        yield Request(text)  # one answer a text, at least: whoever asks need not tell the two apart
    changes = [part for part in parts if part.text != text[part.start : part.end]]
    corrections = tuple(CorrectionAt(part.start, text[part.start : part.end], part.text) for part in changes)
    return Corrected(made + text[end:], corrections)


def _first(parts: list[_Part], length: int) -> int | None:
    """Return which part the last so many characters begin with; None where they begin inside of one."""
    for place in range(len(parts) - 1, -1, -1):
        length -= len(parts[place].text)
        if length <= 0:
            return place if length == 0 else None
    return None
