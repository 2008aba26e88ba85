"""What a path says about keys and the ways between them: every table that the beam looks things up in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.touch.layout import Layout
from keyboard_lm.touch.path import KEY_ASPECT, Floats, Track


@dataclass(frozen=True)
class PathModel:
    """How a finger that means a word moves; every figure in nats.

    The figures are those that made the words of one half of 582 swipes of volunteers most probable
    (``tests/benchmarks/fit_swipe.py``); with them a nat of the path is worth a nat of the context.

    Attributes:
        sd_x: of a letter's place around its key, in key widths.
        sd_y: the same, across the rows, in key widths.
        sd_end: factor on both for the first letter and the last.
        way: what a key width of path costs at one key width from the straight way between two keys, squared with it.
        way_most: distance from which on it costs no more.
        turn: what a key width of path costs at right angles to the way; twice that if it leads back.
        missed: the most that a letter costs whose key the path does not come near.
        letter: what every letter costs.
        slow: what a letter is worth where the finger is at half its mean speed.
        skipped: what a key width of path before the first letter and behind the last costs.
    """

    sd_x: float = 0.48
    sd_y: float = 0.52
    sd_end: float = 0.71
    way: float = 0.77
    way_most: float = 2.5
    turn: float = 1.35
    missed: float = 6.0
    letter: float = 0.15
    slow: float = 0.5
    skipped: float = 4.0


@dataclass(frozen=True, eq=False)
class PathEvidence:
    """Costs of one path: the lower, the better. T points, K keys.

    Attributes:
        letter: of a key being meant at a point, (T, K).
        first: of a word beginning with a key at a point, (T, K).
        last: of what a word that ends at a point has still to pay, its last letter apart, (T, K).
        way: of the path up to a point if it leads straight from one key to another, (T, K * K).
        rest: the least that the path from a point on can cost, (T,).
    """

    letter: Floats
    first: Floats
    last: Floats
    way: Floats
    rest: Floats


class LetterModel(Protocol):
    """Judges letters in the place of their distance: a network over the points of a path, for instance."""

    def log_probabilities(self, track: Track, places: Floats) -> Floats:
        """Return the logarithm of each key's probability at each point, (T, K); `places` are the keys', (K, 2)."""
        ...


class Emissions:
    """Turns paths into evidence by where a layout's keys are.

    Args:
        layout: of the keyboard.
        keys: the characters, in the trie's order.
        model: how fingers move.
        letters: judges letters; None for their distance from the path.
    """

    def __init__(
        self,
        layout: Layout,
        keys: tuple[str, ...],
        model: PathModel | None = None,
        letters: LetterModel | None = None,
    ) -> None:
        self.model = model or PathModel()
        self._letters = letters
        centres = [layout.centre(key) for key in keys]
        self.places: Floats = np.array([(c.x, c.y * KEY_ASPECT) for c in centres if c], np.float32)  # (K, 2)
        ways = self.places[None, :, :] - self.places[:, None, :]  # (K, K, 2)
        lengths = np.hypot(ways[..., 0], ways[..., 1])
        self._directions = (ways / np.maximum(lengths, 1e-6)[..., None]).reshape(-1, 2).astype(np.float32)
        self._lengths = lengths.reshape(-1).astype(np.float32)  # (K * K,)
        starts = np.broadcast_to(self.places[:, None, :], ways.shape).reshape(-1, 2)
        self._along_start = (starts * self._directions).sum(axis=1)  # (K * K,)
        across = np.stack([-self._directions[:, 1], self._directions[:, 0]])  # (2, K * K)
        self._across, self._along = across, np.ascontiguousarray(self._directions.T)
        self._across_start = (starts.T * across).sum(axis=0)

    def of(self, track: Track) -> PathEvidence:
        """Return what a path says."""
        model, places = self.model, track.places
        num = len(places)
        step = track.length / (num - 1)
        scaled = (places[:, None, :] - self.places) / np.array([model.sd_x, model.sd_y], np.float32)  # (T, K, 2)
        near = (scaled * scaled).sum(axis=2) / 2  # (T, K)
        near = -np.logaddexp(-near, np.float32(-model.missed))
        letter = self._letter(track, near)
        ends = near / model.sd_end**2 + model.letter  # (T, K)
        way = self._ways(places, step)  # (T - 1, K * K)
        total = np.zeros((num, way.shape[1]), np.float32)
        np.cumsum(way, axis=0, out=total[1:])
        least = way.min(axis=1)
        rest = np.zeros(num, np.float32)
        rest[:-1] = np.cumsum(least[::-1])[::-1]
        passed = (np.arange(num, dtype=np.float32) * (step * model.skipped))[:, None]
        return PathEvidence(letter, ends + passed, ends - letter + passed[::-1], total, rest)

    def _letter(self, track: Track, near: Floats) -> Floats:
        if self._letters is not None:
            judged: Floats = -self._letters.log_probabilities(track, self.places).astype(np.float32)
            return judged
        slow = self.model.slow * np.log2(np.clip(track.speeds, 0.25, 4.0))[:, None]  # (T, 1)
        letter: Floats = (near + (self.model.letter + slow)).astype(np.float32)
        return letter

    def _ways(self, places: Floats, step: float) -> Floats:
        # Of each step, for each pair of keys.
        model = self.model
        middles = (places[1:] + places[:-1]) / 2
        moves = np.diff(places, axis=0) / max(step, 1e-6)
        across = middles @ self._across - self._across_start  # (T - 1, K * K)
        along = middles @ self._along - self._along_start
        beyond = np.maximum(np.maximum(-along, along - self._lengths), 0)
        off = np.minimum(across * across + beyond * beyond, model.way_most**2)
        turn = moves @ self._along
        np.subtract(1, turn, out=turn)
        off *= model.way * step
        turn *= model.turn * step
        ways: Floats = off + turn
        return ways


def pair(first: NDArray[np.intp], second: NDArray[np.intp], num_keys: int) -> NDArray[np.intp]:
    """Return the column of a way between two keys in `PathEvidence.way`."""
    return first * num_keys + second
