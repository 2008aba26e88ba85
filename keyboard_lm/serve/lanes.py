"""Contexts of stateless requests that are kept warm: a text that goes on costs only what is new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.keyboard.suggester import Suggester, SuggesterOptions
from keyboard_lm.serve.limits import Limits

_Key = tuple[str, str, str, int]  # subject, language, layout, slots


class Lane:
    """A suggester that the last requests of one caller have warmed.

    Args:
        suggester: with a KV cache of its own.
        key: of the caller, and what it asked for.
    """

    def __init__(self, suggester: Suggester, key: _Key) -> None:
        self.suggester = suggester
        self.key = key
        self.text = ""
        self.used_at = 0.0


class Lanes:
    """Chooses the lane whose text a request goes on from.

    Nobody is given a lane that another caller has warmed: how soon an answer comes would say what the other wrote.

    Args:
        engine: lanes are opened over.
        limits: how many, and for how long.
        clock: seconds that only go forward.
    """

    def __init__(self, engine: Engine, limits: Limits, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._limits = limits
        self._clock = clock
        self._lanes: list[Lane] = []  # the one used longest ago first

    def take(self, subject: str, language: str, layout: str, num_slots: int, text: str) -> Lane:
        """Return the warmest lane for a text, a cold one at worst."""
        now = self._clock()
        key = subject, language, layout, num_slots
        mine = [lane for lane in self._lanes if lane.key == key]
        lane = max(mine, key=lambda each: num_shared(each.text, text), default=None)
        if lane is None or (not _goes_on(lane.text, text) and len(self._lanes) < self._limits.lanes):
            lane = self._cold(key, mine)
        self._lanes = [each for each in self._lanes if each is not lane]
        self._lanes.append(lane)
        lane.text, lane.used_at = text, now
        self.tidy()
        return lane

    def tidy(self) -> None:
        """Drop the lanes that nobody has used for a while."""
        oldest = self._clock() - self._limits.lane_idle_s
        for lane in [lane for lane in self._lanes if lane.used_at < oldest]:
            lane.suggester.forget()
            self._lanes.remove(lane)

    def _cold(self, key: _Key, mine: list[Lane]) -> Lane:
        if len(self._lanes) >= self._limits.lanes:
            oldest = mine[0] if mine else self._lanes[0]
            oldest.suggester.forget()
            self._lanes.remove(oldest)
            if oldest.key == key:
                return oldest
        _, language, layout, num_slots = key
        options = replace(
            self._engine.options, language=language, layout=layout, suggester=SuggesterOptions(num_slots=num_slots)
        )
        return Lane(self._engine.suggester(options), key)


def num_shared(text: str, other: str) -> int:
    """Return how many characters two texts begin with both."""
    low, high = 0, min(len(text), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if text[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _goes_on(before: str, text: str) -> bool:
    # Typing and deleting leave most of a text as it is.
    shared = num_shared(before, text)
    return not before or (shared > 0 and shared >= max(len(before), len(text)) - 32)
