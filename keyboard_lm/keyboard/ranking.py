"""The door to the bar: every offer is mixed with the writer's own words, looked at once, and ranked here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from copy import copy
from functools import lru_cache
from typing import Literal

from keyboard_lm.keyboard.offers import Offer, new_offer
from keyboard_lm.personal.store import PersonalView
from keyboard_lm.text.case import fold_word

Refusal = Literal["offensive", "no word", "another spelling of it is likelier"]
_MIXED = frozenset({"network", "own words", "mistyped"})  # the corrector has asked the view itself
_MAX_REMEMBERED = 16_384  # words that have been looked up among the offensive ones


class OfferFilter:
    """Says what is never offered, whatever source it comes from.

    Args:
        is_offensive: of one word.
        is_no_word: of an offer: whether it is nothing that anybody should be offered.
        is_listed: of a text: whether it is something that anybody may be offered, whoever writes; such is not asked
            about in `is_no_word`. None for nothing.

    Attributes:
        is_offensive: as given, remembered.
        has_offensive: of a text: whether any of its words is offensive.
        is_always_fit: of a text: whether anybody may be offered it, whoever writes.
    """

    def __init__(
        self,
        is_offensive: Callable[[str], bool],
        is_no_word: Callable[[Offer], bool] | None = None,
        is_listed: Callable[[str], bool] | None = None,
    ) -> None:
        self.is_offensive = lru_cache(maxsize=_MAX_REMEMBERED)(is_offensive)
        self.has_offensive = lru_cache(maxsize=_MAX_REMEMBERED)(self._has_offensive)
        self._is_no_word = is_no_word
        self._is_listed = is_listed
        self.is_always_fit = lru_cache(maxsize=_MAX_REMEMBERED)(self._always_fit)

    def another(self, is_no_word: Callable[[Offer], bool]) -> OfferFilter:
        """Return the same for another writer, whose words are others; what is remembered is shared."""
        other = copy(self)
        other._is_no_word = is_no_word
        return other

    def refusal(self, offer: Offer) -> Refusal | None:
        """Return why an offer is not fit for the bar; None where it is.

        The word is looked at as its source has it and as it would be inserted: in capitals it may be another.
        """
        text, word = offer[0], offer[1]
        if self.is_always_fit(text) and (word == text or not self.has_offensive(word)):
            return None
        if self.has_offensive(text) or (word != text and self.has_offensive(word)):
            return "offensive"
        if self._is_no_word is not None and self._is_no_word(offer):
            return "no word"
        return None

    def _always_fit(self, text: str) -> bool:
        return self._is_listed is not None and self._is_listed(text) and not self.has_offensive(text)

    def _has_offensive(self, words: str) -> bool:
        return any(map(self.is_offensive, words.split()))


class Ranking:
    """Offers by folded text; of those of the same letters the best.

    Args:
        offer_filter: what is not fit.
        view: the writer's own words; None for none.
        refused: where to keep what is not taken, and why; None to keep nothing.
    """

    def __init__(
        self,
        offer_filter: OfferFilter,
        view: PersonalView | None,
        refused: list[tuple[Offer, Refusal]] | None = None,
    ) -> None:
        self._filter = offer_filter
        self._view = view
        self._refused = refused
        self._offers: dict[str, tuple[float, str, Offer]] = {}  # each behind what it is worth, as they are sorted

    def __len__(self) -> int:
        return len(self._offers)

    def fit(self, offers: Iterable[Offer]) -> list[Offer]:
        """Return what of a source's offers is fit for the bar, without ranking it."""
        kept = []
        for offer in offers:
            refusal = self._filter.refusal(offer)
            if refusal is None:
                kept.append(offer)
            else:
                self._refuse(offer, refusal)
        return kept

    def add(self, offers: Iterable[Offer]) -> None:
        """Take in what a source yields, as far as it is fit."""
        taken, view, has_offensive = self._offers, self._view, self._filter.has_offensive
        is_always_fit, refusal_of = self._filter.is_always_fit, self._filter.refusal
        for offer in offers:
            text, word, kind, source, log_prior, log_channel, replaced = offer
            if not is_always_fit(text) or (word != text and has_offensive(word)):  # most are; the rest is looked at
                refusal = refusal_of(offer)
                if refusal is not None:
                    self._refuse(offer, refusal)
                    continue
            if view is not None and source in _MIXED:
                log_prior = log(view.mix(math.exp(log_prior), word))
                offer = new_offer(text, word, kind, source, log_prior, log_channel, replaced)
            key, minus_log_joint = fold_word(text), -(log_prior + log_channel)
            known = taken.get(key)
            if known is None or minus_log_joint < known[0]:
                taken[key] = minus_log_joint, text, offer
                offer = known[2] if known is not None else offer
            if known is not None:
                self._refuse(offer, "another spelling of it is likelier")

    def best(self) -> list[Offer]:
        """Return what was taken, the best first; of equal ones in the order of their texts."""
        return [offer for _, _, offer in sorted(self._offers.values())]

    def total(self) -> float:
        """Return the probability of all that was taken."""
        return math.fsum([math.exp(-minus_log_joint) for minus_log_joint, _, _ in self._offers.values()])

    def _refuse(self, offer: Offer, refusal: Refusal) -> None:
        if self._refused is not None:
            self._refused.append((offer, refusal))


def log(probability: float) -> float:
    """Return the natural logarithm, minus infinity for 0."""
    return math.log(probability) if probability > 0 else -math.inf
