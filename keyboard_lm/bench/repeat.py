"""Repeated timing of one call."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

WARM_UP_CALLS = 3


@dataclass(frozen=True)
class Timing:
    """Durations of repeated calls, in milliseconds.

    Attributes:
        median_ms: the figure to quote.
        best_ms: the fastest call; far below the median, it says that the machine was busy.
        calls: how many were timed.
    """

    median_ms: float
    best_ms: float
    calls: int

    @classmethod
    def of(cls, durations_ms: list[float]) -> Timing:
        return cls(statistics.median(durations_ms), min(durations_ms), len(durations_ms))


def time_calls(call: Callable[[], object], calls: int, prepare: Callable[[], object] | None = None) -> Timing:
    """Time `call` after a few warm-up calls; `prepare` runs before each, untimed."""
    durations: list[float] = []
    for number in range(WARM_UP_CALLS + calls):
        if prepare:
            prepare()
        start = time.perf_counter()
        call()
        if number >= WARM_UP_CALLS:
            durations.append((time.perf_counter() - start) * 1000)
    return Timing.of(durations)
