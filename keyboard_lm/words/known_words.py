"""What is a word: the one owner of that question."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import lru_cache, partial

from keyboard_lm.text.case import fold
from keyboard_lm.words.lexicon import MAX_FREQUENCY, Lexicon

_MAX_REMEMBERED = 16_384
_HYPHEN = "-"
_TIMES = (r"\1", r"\1\1")  # how often a letter that is drawn out belongs there
_DRAWN_OUT = re.compile(r"([^\W\d_])\1{2,}")


@dataclass(frozen=True)
class FormRule:
    """How a form is made of a word, as a language pack lists it.

    Attributes:
        add: the ending (``'s``, ``ing``).
        strip: what the word loses before it (``e``).
        after: ends of words that take it; empty for all.
        not_after: ends of words that do not.
        least_frequency: of the word; rare ones are as often a misspelling's neighbour.
        least_letters: of the word.
        is_offered: whether its forms may be offered, too: it makes words of nearly all that it fits. Of the others only
            the writer can tell (``podcasters``, ``politicals``); they are words where they were typed.
    """

    add: str
    strip: str = ""
    after: tuple[str, ...] = ()
    not_after: tuple[str, ...] = ()
    least_frequency: int = 1
    least_letters: int = 1
    is_offered: bool = False

    def base(self, word: str) -> str | None:
        """Return the word that a folded one is a form of, if it is one; whether that is a word is asked elsewhere."""
        if not word.endswith(self.add) or len(word) <= len(self.add):
            return None
        base = word[: -len(self.add)] + self.strip
        fits = len(base) >= self.least_letters and (not self.after or base.endswith(self.after))
        return base if fits and not base.endswith(self.not_after or ("\0",)) else None


class KnownWords:
    """Says of letters whether they are a word: listed, learned from the writer, or a form of such.

    What is no word can be typed and learned; it is never offered, and neither are forms that only a rule has made.

    Args:
        lexicon: the listed ones; a misspelling that it lists is none, whatever a rule says.
        forms: how more are made of them.
        units: what may stand behind a number without a space (``pm``, ``th``).
        is_learned: of a word: whether the writer has taught it.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        forms: tuple[FormRule, ...] = (),
        units: frozenset[str] = frozenset(),
        is_learned: Callable[[str], bool] = lambda word: False,
    ) -> None:
        self._lexicon = lexicon
        self._forms = forms
        self._units = units
        self._is_learned = is_learned
        self._offered_forms = tuple(rule for rule in forms if rule.is_offered)
        self._is_listed = lru_cache(maxsize=_MAX_REMEMBERED)(partial(self._listed, for_offers=False))
        self._may_offer = lru_cache(maxsize=_MAX_REMEMBERED)(partial(self._listed, for_offers=True))
        self._is_form = lru_cache(maxsize=_MAX_REMEMBERED)(partial(self._form, for_offers=False))

    def another(self, is_learned: Callable[[str], bool]) -> KnownWords:
        """Return the same for another writer; what is remembered of the lexicon is shared."""
        other = copy(self)
        other._is_learned = is_learned
        return other

    def is_word(self, text: str) -> bool:
        """Return whether each word of a text is one, in some case, or has no letters at all."""
        if " " in text:
            return all(map(self.is_word, text.split()))
        return self._is_listed(text) or self._is_learned(text)

    def may_offer(self, text: str) -> bool:
        """Return whether a text may be offered: each of its words is listed, learned, or a form that a rule offers."""
        if " " in text:
            return all(map(self.may_offer, text.split()))
        return self._may_offer(text) or self._is_learned(text)

    def may_offer_to_all(self, text: str) -> bool:
        """Return whether it may be offered whoever writes: whatever was learned."""
        return all(map(self._may_offer, text.split() if " " in text else (text,)))

    def is_known(self, word: str) -> bool:
        """Return whether letters are a word cased as they are, or with a capital or capitals throughout."""
        if self._lexicon.known(word):
            return True
        return not self._lexicon.entries_of(word) and (self._is_form(word) or self._is_lengthened(word))

    def _is_lengthened(self, word: str) -> bool:
        # "nooo", "yesss": letters drawn out for emphasis, three of them or more.
        if not _DRAWN_OUT.search(word):
            return False
        return any(self._lexicon.known(_DRAWN_OUT.sub(times, fold(word))) for times in _TIMES)

    def cased(self, text: str) -> str:
        """Return a word with the capitals it has in the lists where it is in none of them as it stands (``i``)."""
        if self._lexicon.known(text) or not (entries := self._lexicon.entries_of(text)):
            return text
        best = max(entries, key=lambda entry: (int(self._lexicon.frequencies[entry]), -entry))
        return self._lexicon.text(best)

    def is_miswritten(self, word: str) -> bool:
        """Return whether a word, in any case, is what people write for another."""
        return self._lexicon.is_miswritten(word)

    def frequency(self, word: str) -> int:
        """Return the frequency of a listed word, or of the word that a form is made of; 0 where there is none."""
        folded = fold(word)
        bases = [base for rule in self._forms if (base := rule.base(folded))]
        if _DRAWN_OUT.search(folded):
            bases += [_DRAWN_OUT.sub(times, folded) for times in _TIMES]
        return self._lexicon.frequency(word) or max(map(self._lexicon.frequency, bases), default=0)

    def log_frequency(self, word: str, nats_per_step: float) -> float:
        """Return the logarithm of a word's frequency, relative to the highest there can be."""
        return (self.frequency(word) - MAX_FREQUENCY) * nats_per_step

    def _listed(self, word: str, for_offers: bool) -> bool:
        letters = "".join(filter(str.isalpha, word))
        if not letters:
            return True
        if letters != word and (number := word.rstrip(letters)) and number[-1].isdigit():
            return number[0].isdigit() and fold(word[len(number) :]) in self._units
        return self._is_offered(word) or (self._form(word, True) if for_offers else self._is_form(word))

    def _is_offered(self, word: str) -> bool:
        return any(not self._lexicon.is_marked_miswritten(entry) for entry in self._lexicon.entries_of(word))

    def _form(self, word: str, for_offers: bool) -> bool:
        folded = fold(word)
        if self._lexicon.is_miswritten(folded):
            return False
        if _HYPHEN in folded.strip(_HYPHEN):
            return all(map(self._may_offer if for_offers else self._is_listed, folded.split(_HYPHEN)))
        return any(
            (base := rule.base(folded)) is not None
            and self._is_offered(base)
            and self._lexicon.frequency(base) >= rule.least_frequency
            for rule in (self._offered_forms if for_offers else self._forms)
        )
