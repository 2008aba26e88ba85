"""Which offer takes which slot."""

from __future__ import annotations

import math
from collections.abc import Sequence

from keyboard_lm.keyboard.bar import Correction, Slot
from keyboard_lm.keyboard.offers import Offer
from keyboard_lm.text.case import fold


def slots_of(offers: Sequence[Offer], total: float, num_slots: int) -> list[Slot]:
    """Return the first offers as slots, each with its share of `total`."""
    return [Slot(offer.text, offer.kind, _share(offer, total), offer.replaced) for offer in offers[:num_slots]]


def with_correction(
    offers: Sequence[Offer], total: float, correction: Correction, literal: Offer, num_slots: int
) -> list[Slot]:
    """Return the bar of a word that a space would replace, best first.

    What a space would put in is among the first two, and what it would replace among the first three: a bar of fewer
    leaves that to backspace.

    Args:
        offers: best first.
        total: the probability of all that may have been meant.
        correction: what a space would do.
        literal: what was typed.
        num_slots: length of the bar.
    """
    key = fold(correction.text)
    same = sum(_share(offer, total) for offer in offers if fold(offer.text) == key)
    others = slots_of([offer for offer in offers if fold(offer.text) != key], total, num_slots)
    first = Slot(correction.text, "correction", same, correction.replaced)
    kept = Slot(literal.text, "literal", _share(literal, total), literal.replaced)
    ahead = [slot for slot in others[:1] if slot.probability > first.probability]
    return [*ahead, first, *others[len(ahead) : 1], kept, *others[1:]][:num_slots]


def with_last(slots: list[Slot], last: Sequence[Offer], num_slots: int) -> list[Slot]:
    """Return the bar with some offers, whatever they are worth, in the last slots."""
    return [*slots[: num_slots - len(last)], *(Slot(each.text, each.kind, 0.0, each.replaced) for each in last)]


def _share(offer: Offer, total: float) -> float:
    return math.exp(offer.log_prior + offer.log_channel) / total if total else 0.0
