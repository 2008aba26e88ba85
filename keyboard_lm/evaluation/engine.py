"""What the evaluation asks of a keyboard: one question, whatever engine answers it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from keyboard_lm.keyboard.bar import Correction as Correction
from keyboard_lm.keyboard.bar import Taps as Taps

_UNDER_CURSOR = re.compile(r"[^\W_]+(?:'[^\W_]+)*'?\Z")


@dataclass(frozen=True)
class Bar:
    """A keyboard's answer to one keystroke.

    Attributes:
        slots: words as they would be inserted in place of the word under the cursor, or at the cursor between words,
            without the space; in the bar's order.
        correction: what a space would change; None where the typed word would stay.
        ghost: text offered ahead of the cursor, the rest of the word under it included; ``""`` where there is none.
        num_model_calls: calls of the network that the answer took.
    """

    slots: tuple[str, ...]
    correction: Correction | None = None
    ghost: str = ""
    num_model_calls: int = 0


class Engine(Protocol):
    """A keyboard under test. `PredictorEngine` is one; peers are others.

    The answers may depend on what was asked since `start_field`, never on anything before it: the evaluation hands
    fields to several processes in any order.
    """

    def start_field(self) -> None:
        """Forget the field before: what was typed and whatever was cached for it."""
        ...

    def bar(self, text: str, num_slots: int, taps: Taps = ()) -> Bar:
        """Return the bar for a field's text before the cursor.

        Args:
            text: all of it; a space at its end means that the last word is finished.
            num_slots: most slots of the bar; 0 where only correction and ghost text are wanted.
            taps: where the last characters of `text` were touched, at least those of the word under the cursor; empty
                where none is known.
        """
        ...


def word_under_cursor(text: str) -> str:
    """Return the letters and digits, with their apostrophes, that the text before the cursor ends with."""
    match = _UNDER_CURSOR.search(text)
    return match.group() if match else ""


def after_slot(text: str, slot: str) -> str:
    """Return what a text becomes when a slot is taken: it stands in place of the word under the cursor."""
    return text[: len(text) - len(word_under_cursor(text))] + slot


def after_space(text: str, bar: Bar) -> str:
    """Return what a text becomes when a space is typed, without that space.

    Raises:
        ValueError: the correction does not replace the end of the text.
    """
    if bar.correction is None:
        return text
    if not text.endswith(bar.correction.replaced):
        raise ValueError(f"a correction of {bar.correction.replaced!r} does not fit a text that ends in {text[-20:]!r}")
    return text[: len(text) - len(bar.correction.replaced)] + bar.correction.text
