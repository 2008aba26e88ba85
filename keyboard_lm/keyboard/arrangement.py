"""Which offer takes which slot."""

from __future__ import annotations

import math
from collections.abc import Sequence

from keyboard_lm.keyboard.bar import Correction, Slot
from keyboard_lm.keyboard.offers import Offer
from keyboard_lm.text.case import fold

LEAST_SHARE = 0.001  # of a word that is worth a slot: less would be shown as 0.0 %


def slots_of(offers: Sequence[Offer], total: float, num_slots: int, least_share: float = LEAST_SHARE) -> list[Slot]:
    """Return the first offers that are worth a slot, each with its share of `total`.

    Args:
        offers: best first.
        total: the probability of all that may have been meant.
        num_slots: length of the bar.
        least_share: what a slot has to be worth.
    """
    slots = [Slot(offer.text, offer.kind, _share(offer, total), offer.replaced) for offer in offers[:num_slots]]
    return [slot for slot in slots if slot.probability >= least_share]


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
    others = _slots_without(key, offers, total, num_slots)
    first = Slot(correction.text, "correction", same, correction.replaced)
    kept = Slot(literal.text, "literal", _share(literal, total), literal.replaced)
    ahead = [slot for slot in others[:1] if slot.probability > first.probability]
    return [*ahead, first, *others[len(ahead) : 1], kept, *others[1:]][:num_slots]


def with_unlikely_correction(
    offers: Sequence[Offer], total: float, correction: Correction, num_slots: int
) -> list[Slot]:
    """Return the bar of a word that most likely goes on, but that a space typed now would replace.

    The literal takes no slot that a completion could have; what a space would put in is on the bar all the same.

    Args:
        offers: best first.
        total: the probability of all that may have been meant.
        correction: what a space would do.
        num_slots: length of the bar.
    """
    key = fold(correction.text)
    same = sum(_share(offer, total) for offer in offers if fold(offer.text) == key)
    others = _slots_without(key, offers, total, num_slots)
    slots = sorted([*others, Slot(correction.text, "correction", same, correction.replaced)], key=_worth)
    shown = slots[:num_slots]
    if all(fold(slot.text) != key for slot in shown):
        shown[-1:] = [slot for slot in slots if fold(slot.text) == key]
    return shown


def is_among(text: str, offers: Sequence[Offer]) -> bool:
    """Return whether a text is one of some offers, case apart."""
    key = fold(text)
    return any(fold(offer.text) == key for offer in offers)


def _slots_without(key: str, offers: Sequence[Offer], total: float, num_slots: int) -> list[Slot]:
    return slots_of([offer for offer in offers if fold(offer.text) != key], total, num_slots)


def _worth(slot: Slot) -> tuple[float, str]:
    return -slot.probability, slot.text


def with_last(slots: list[Slot], last: Sequence[Offer], num_slots: int) -> list[Slot]:
    """Return the bar with some offers, whatever they are worth, in the last slots."""
    return [*slots[: num_slots - len(last)], *(Slot(each.text, each.kind, 0.0, each.replaced) for each in last)]


def _share(offer: Offer, total: float) -> float:
    return math.exp(offer.log_prior + offer.log_channel) / total if total else 0.0
