"""One answer's turn: what it may spend on the network, until when, and whether anybody still waits for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from keyboard_lm.device.budget import CallCost

FREE = CallCost(0.0)


class Turn:
    """Made for one answer and handed down to whoever may call the network; nothing of it outlives the answer.

    A call is asked for by `take`, which spends its time at once. Whoever is refused does without.

    Args:
        cost: of a call on the device; that of a call which costs nothing where no device is estimated.
        budget_ms: estimated time on the device, all calls together.
        deadline: an instant on `clock` after which no call is begun; None for none.
        clock: seconds that only go forward.
        is_stale: asked before each call whether the answer is no longer wanted; None where that cannot be.

    Attributes:
        clock: as given.
        spent_ms: of `budget_ms`.
        was_refused: whether a call was wanted that there was no room for.
        num_calls: calls of the network that were made.
        forward_ms: time that they took on this machine.
    """

    __slots__ = ("_budget_ms", "_cost", "_deadline", "_is_stale", "clock", "forward_ms", "num_calls", "spent_ms",
                 "was_refused")  # fmt: skip

    def __init__(
        self,
        cost: CallCost = FREE,
        budget_ms: float = math.inf,
        deadline: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
        is_stale: Callable[[], bool] | None = None,
    ) -> None:
        self.clock = clock
        self.spent_ms = 0.0
        self.was_refused = False
        self.num_calls = 0
        self.forward_ms = 0.0
        self._cost = cost
        self._budget_ms = budget_ms
        self._deadline = deadline
        self._is_stale = is_stale

    def take(self, num_tokens: int) -> bool:
        """Spend the time of a call with as many tokens; return False, and spend nothing, where it may not be made."""
        cost_ms = self._cost.ms(num_tokens)
        is_late = self._deadline is not None and self.clock() >= self._deadline
        if is_late or self.spent_ms + cost_ms > self._budget_ms or (self._is_stale is not None and self._is_stale()):
            self.was_refused = True
            return False
        self.spent_ms += cost_ms
        return True

    def count_call(self, begun: float) -> None:
        """Count a call of the network that began at an instant on `clock` and has ended now."""
        self.num_calls += 1
        self.forward_ms += (self.clock() - begun) * 1000


def no_calls() -> Turn:
    """Return the turn of an answer that has to do with what is known already."""
    return Turn(CallCost(1.0), 0.0)
