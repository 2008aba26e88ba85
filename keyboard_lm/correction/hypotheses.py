"""What may have been meant by the word before the cursor, weighed, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Hypothesis(NamedTuple):
    """What may have been meant.

    Attributes:
        replaced: the end of the text before the cursor that it stands for.
        text: what it would be written as.
        log_joint: logarithm of P(text | context) x P(taps | text).
        posterior: its share among all hypotheses.
        log_channel: logarithm of P(taps | text), relative to that of typing these letters on purpose.
    """

    replaced: str
    text: str
    log_joint: float
    posterior: float
    log_channel: float = 0.0

    @property
    def is_literal(self) -> bool:
        """Whether it changes nothing."""
        return self.text == self.replaced


@dataclass(frozen=True)
class Verdict:
    """What to make of the word before the cursor.

    Attributes:
        hypotheses: the most probable first, the literal among them; empty where there is no word, or a protected one.
        correction: the one that a space should put in place of what was typed; None to leave it.
    """

    hypotheses: tuple[Hypothesis, ...] = ()
    correction: Hypothesis | None = None


def literal_of(found: Sequence[Hypothesis]) -> Hypothesis:
    """Return what was typed, taken at its word, which is always among the hypotheses."""
    return next(each for each in found if each.is_literal)


def lead_of(best: Hypothesis, found: Sequence[Hypothesis]) -> float:
    """Return by how much one of the hypotheses is more probable than the literal."""
    return math.exp(min(best.log_joint - literal_of(found).log_joint, 700.0))
