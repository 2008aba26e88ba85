"""What a finger's rests say about letters that are written twice: "to" and "too" lead over the same keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.touch.path import Floats, Track


@dataclass(frozen=True)
class RestModel:
    """How long fingers are at a letter, as logarithms of its share of the path's time times the number of letters.

    Loops count as rests: they take time around a key. The figures are of volunteers' swipes.

    Attributes:
        single: mean of letters that are there once.
        single_sd: their standard deviation.
        double: mean of letters that are there twice.
        double_sd: their standard deviation.
        radius: in key widths, around a key.
        resting: the share of doubled letters that are rested on at all; at 1, the missing rests of those who do not
            do so cost more words than the rests of the others gain.
        most: nats that one letter can gain.
    """

    single: float = -0.54
    single_sd: float = 0.83
    double: float = 0.05
    double_sd: float = 0.6
    radius: float = 0.6
    resting: float = 0.4
    most: float = 1.5


class Doubles:
    """Weighs words by their doubled letters.

    Args:
        places: of the keys, in key widths both ways, (K, 2).
        model: how long fingers rest.
    """

    def __init__(self, places: Floats, model: RestModel | None = None) -> None:
        self._places = places
        self._model = model or RestModel()

    def shares(self, track: Track) -> NDArray[np.float64]:
        """Return the share of a path's time that was spent at each key, (K,)."""
        times = 1 / np.maximum(track.speeds.astype(np.float64), 1e-3)
        apart = track.places[:, None, :] - self._places  # (T, K, 2)
        near = (apart * apart).sum(axis=2) < self._model.radius**2
        shares: NDArray[np.float64] = times @ near / times.sum()
        return shares

    def log_ratio(self, shares: NDArray[np.float64], doubled: Sequence[int], num_letters: int) -> float:
        """Return how much likelier a word is for its doubled letters than one that has them once.

        Args:
            shares: as `shares` gives them.
            doubled: their keys.
            num_letters: that the path leads over.
        """
        model, total = self._model, 0.0
        for key in doubled:
            rest = math.log(float(shares[key]) * num_letters + 0.05)
            single, double = (rest - model.single) / model.single_sd, (rest - model.double) / model.double_sd
            ratio = (single * single - double * double) / 2 + math.log(model.single_sd / model.double_sd)
            total += math.log(1 - model.resting + model.resting * math.exp(min(ratio, model.most)))
        return total
