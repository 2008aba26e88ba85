"""The case in which a peer's words are offered: that of a phone's bar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keyboard_lm.evaluation.engine import word_under_cursor
from keyboard_lm.text.form import TextForm, capitalise

_FORM = TextForm()


@dataclass(frozen=True)
class Cursor:
    """What stands at the end of a text field.

    Attributes:
        partial: the word under the cursor as typed, ``""`` between words.
        starts_sentence: whether a word here takes a sentence's capital.
    """

    partial: str
    starts_sentence: bool

    @classmethod
    def after(cls, text: str) -> Cursor:
        """Return what is under the cursor behind `text`."""
        return cls(word_under_cursor(text), _FORM.split_typed(text).starts_sentence)

    def bar(self, words: Iterable[str], num_slots: int) -> tuple[str, ...]:
        """Return the first `num_slots` of `words`, cased for this place.

        A completion has the capitals that were typed, a next word that of the sentence. The typed word itself is left
        out, since a space keeps it.

        Args:
            words: as they are written inside a sentence, the best first.
            num_slots: most words to return.
        """
        slots = dict.fromkeys(map(self._cased, words))
        slots.pop(self.partial, None)
        return tuple(slots)[:num_slots]

    def _cased(self, word: str) -> str:
        if not self.partial:
            return capitalise(word) if self.starts_sentence else word
        if sum(map(str.isalpha, self.partial)) > 1 and self.partial.isupper():
            return word.upper()
        return capitalise(word) if self.partial[0].isupper() else word
