"""Why the bar is as it is: every offer there was, where it came from and what it was worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from keyboard_lm.keyboard.bar import Answer
from keyboard_lm.keyboard.offers import Offer
from keyboard_lm.keyboard.ranking import Refusal

Fate = Literal["shown", "not among the best"] | Refusal


class Explained(NamedTuple):
    """An offer and what became of it.

    Attributes:
        offer: as its source yielded it, the writer's own share mixed in.
        fate: why it is on the bar, or is not.
    """

    offer: Offer
    fate: Fate


def explained(
    answer: Answer, taken: Sequence[Offer], refused: Sequence[tuple[Offer, Refusal]]
) -> tuple[Explained, ...]:
    """Return all offers, those worth most first.

    Args:
        answer: the bar.
        taken: offers that were ranked for it.
        refused: those that were not, each with the reason.
    """
    shown = {(slot.text, slot.replaced) for slot in answer.slots}
    rows = [Explained(each, "shown" if (each.text, each.replaced) in shown else "not among the best") for each in taken]
    rows += [Explained(offer, refusal) for offer, refusal in refused]
    return tuple(sorted(rows, key=_worth))


def _worth(row: Explained) -> tuple[float, str]:
    log_joint = row.offer.log_joint
    return -log_joint if log_joint > -math.inf else math.inf, row.offer.text
