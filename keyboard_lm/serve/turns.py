"""Who is answered next: one answer at a time, the oldest first; overload makes answers cheaper, then refuses."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from keyboard_lm.serve.limits import Limits

_MEMORY = 0.1  # share of the newest in the mean time of an answer
_LEAST_RETRY_MS = 50


class Waiting(Protocol):
    """Somebody who waits for an answer."""

    def answer(self, deadline: float | None) -> None:
        """Make the answer now; after the deadline, an instant on the clock, without a call of the network."""
        ...


class Turns:
    """A queue of bounded length and waiting time.

    Answers are made on the event loop's own thread: a hand-over to another one costs as much as a tenth of a key, and
    only the network's calls would run beside the rest. Between two answers the loop reads what has arrived, so that an
    edit waits for one answer at most.

    Args:
        limits: of length and time.
        clock: seconds that only go forward.
        waited: told, in seconds, how long each had to wait.
    """

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float] = time.perf_counter,
        waited: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.clock = clock
        self._limits = limits
        self._waited = waited
        self._queue: deque[tuple[float, Waiting]] = deque()
        self._mean_ms = 3.0  # from one answer's end to the next one's, edits in between included
        self._ended_at = 0.0
        self._is_serving = False

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def expected_ms(self) -> float:
        """How long an answer asked for now would wait, by the mean of the last ones and by the oldest that waits."""
        if not self._queue:
            return 0.0
        oldest_ms = (self.clock() - self._queue[0][0]) * 1000
        return max(len(self._queue) * self._mean_ms, oldest_ms)

    @property
    def is_overloaded(self) -> bool:
        """Whether answers have to be made without the network for now."""
        return self.expected_ms > self._limits.degrade_ms

    def ask(self, who: Waiting) -> int | None:
        """Queue for an answer.

        Returns:
            None, or the milliseconds after which to ask again where the queue is too long.
        """
        expected_ms = self.expected_ms
        if len(self._queue) >= self._limits.waiting or expected_ms > self._limits.refuse_ms:
            return max(_LEAST_RETRY_MS, int(2 * expected_ms))
        self._queue.append((self.clock(), who))
        if not self._is_serving:
            self._is_serving, self._ended_at = True, self.clock()
            asyncio.get_running_loop().call_soon(self._serve)
        return None

    def _serve(self) -> None:
        arrived, who = self._queue.popleft()
        begun = self.clock()
        self._waited(begun - arrived)
        try:
            who.answer(arrived + self._limits.degrade_ms / 1000 if self._queue else None)
        finally:
            before, self._ended_at = self._ended_at, self.clock()
            self._mean_ms += _MEMORY * ((self._ended_at - before) * 1000 - self._mean_ms)
            self._is_serving = bool(self._queue)
            if self._is_serving:
                asyncio.get_running_loop().call_soon(self._serve)
