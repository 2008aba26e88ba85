"""Gives the memory that closed sessions have left back to the system.

A session's caches are many pieces of some 30 KB among the long-lived ones of others, so that glibc keeps most of what
was freed: 75 of 300 MB after some hundred sessions.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_LEAST_ENDED = 32  # sessions: to give back takes about 20 ms, in which nobody is answered


class Freed:
    """Looks from time to time whether enough sessions have ended; to be awaited.

    Args:
        num_ended: how many there have been.
        give_back: does it; None for what this system has.
    """

    def __init__(self, num_ended: Callable[[], int], give_back: Callable[[], object] | None = None) -> None:
        self._num_ended = num_ended
        self._give_back = give_back or _trim()
        self._num_seen = 0

    async def __call__(self) -> None:
        """Give memory back if enough sessions have ended since the last time."""
        num_ended = self._num_ended()
        if num_ended - self._num_seen >= _LEAST_ENDED:
            self._num_seen = num_ended
            self._give_back()


def _trim() -> Callable[[], object]:
    # glibc's; other C libraries of Linux have none, and other systems no need.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return (lambda: trim(0)) if trim is not None else (lambda: None)
