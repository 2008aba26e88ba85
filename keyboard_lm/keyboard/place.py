"""Where an answer is for: the field, what is known of the words before the cursor, and the turn it may use."""

from __future__ import annotations

from dataclasses import dataclass

from keyboard_lm.decoding.context import Boundary
from keyboard_lm.device.turn import Turn
from keyboard_lm.keyboard.bar import Request
from keyboard_lm.personal.store import PersonalView
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import TypedText, capitalise


@dataclass(frozen=True, slots=True)
class Place:
    """One request, looked at once.

    Attributes:
        request: the field.
        typed: its text as the text form splits it.
        turn: what the answer may spend.
        boundary: what the network says before the word under the cursor, or the next one; None where it cannot be
            asked.
        view: what the writer's own words say there; None where that is nothing.
    """

    request: Request
    typed: TypedText
    turn: Turn
    boundary: Boundary | None
    view: PersonalView | None

    @property
    def word(self) -> str:
        """The word under the cursor as typed; ``""`` between words."""
        return self.typed.partial

    @property
    def prefix(self) -> str:
        """The same without a capital that the keyboard put there."""
        word = self.typed.partial
        return fold(word[0]) + word[1:] if word and self.typed.starts_sentence else word

    def as_next(self, text: str) -> str:
        """Return a next word with the capitals that the shift key, or the beginning of a sentence, gives it."""
        shift = self.request.shift
        if shift == "lock":
            return text.upper()
        is_capital = self.typed.starts_sentence if shift is None else shift == "on"
        return capitalise(text) if is_capital else text


def as_typed(text: str, typed: str) -> str:
    """Return a word with the capitals that were typed: the first letter's, or all of them."""
    if typed.isupper() and sum(map(str.isalpha, typed)) > 1:  # not "I'"
        return text.upper()
    return capitalise(text) if typed[0].isupper() else text
