"""Confidence intervals of a rate measured line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A rate and the 95 % interval around it."""

    rate: float
    low: float
    high: float


def bootstrap(
    numerators: Sequence[float], denominators: Sequence[float], rng: np.random.Generator, num_resamples: int = 1000
) -> Interval:
    """Return sum(numerators) / sum(denominators) with its 95 % percentile interval over lines.

    Words of one line depend on each other, so lines are drawn with replacement, not words (Efron & Tibshirani 1993, "An
    Introduction to the Bootstrap", chapters 8 and 13).

    Args:
        numerators: one per line, for example hits.
        denominators: one per line, for example words; their sum is positive.
        rng: source of the resamples.
        num_resamples: how many.

    Raises:
        ValueError: not one denominator for each numerator, or nothing to divide by.
    """
    above, below = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if above.shape != below.shape or below.sum() <= 0:
        raise ValueError("a rate needs one denominator per line and something to divide by")
    lines = np.arange(len(above))
    rates = []
    for _ in range(num_resamples):
        drawn = rng.choice(lines, len(lines))
        if (total := below[drawn].sum()) > 0:
            rates.append(above[drawn].sum() / total)
    low, high = np.percentile(rates, (2.5, 97.5))
    return Interval(float(above.sum() / below.sum()), float(low), float(high))
