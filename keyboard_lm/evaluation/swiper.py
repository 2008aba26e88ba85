"""A finger that swipes words: through noisy places of their letters, as smoothly as hands move.

Between two letters the finger follows the polynomial of least jerk (Flash and Hogan 1985, "The Coordination of Arm
Movements"); it slows down at letters and does not stop. How far it passes from the keys, and how long it takes, is what
one half of 582 swipes of volunteers says (median 0.96 s; a point every 17 ms).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.touch.layout import Layout
from keyboard_lm.touch.path import KEY_ASPECT, PathPoint

_FREE = frozenset("'-.")


@dataclass(frozen=True)
class SwipeNoise:
    """How paths vary; distances in key widths.

    Attributes:
        first: standard deviations of the first letter's place, across and down.
        inner: of the letters between.
        last: of the last one's.
        leg_ms: median time from one letter to the next.
        spread: standard deviation of the logarithm of that.
        passing: speed at letters, as a share of the mean.
        double_ms: how long the finger rests for a letter that is there twice.
        point_ms: between two points.
    """

    first: tuple[float, float] = (0.23, 0.25)
    inner: tuple[float, float] = (0.32, 0.26)
    last: tuple[float, float] = (0.33, 0.23)
    leg_ms: float = 300.0
    spread: float = 0.3
    passing: float = 0.4
    double_ms: float = 120.0
    point_ms: float = 17.0


PERFECT = SwipeNoise((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), spread=0.0)


class Swiper:
    """Draws words.

    Args:
        layout: of the keyboard.
        noise: how paths vary.
    """

    def __init__(self, layout: Layout, noise: SwipeNoise | None = None) -> None:
        self.layout = layout
        self.noise = noise or SwipeNoise()

    def swipe(self, word: str, rng: np.random.Generator) -> tuple[PathPoint, ...]:
        """Return the path of a word; nothing where it has a letter without a key, or all its letters are on one.

        Args:
            word: case and accents do not matter, apostrophes are passed over.
            rng: the source of every choice.
        """
        keys = self._keys(word)
        distinct = [key for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
        if len(distinct) < 2:
            return ()
        noise = self.noise
        centres = np.array([(c.x, c.y * KEY_ASPECT) for key in distinct if (c := self.layout.centre(key))])
        if len(centres) < len(distinct):
            return ()
        spreads = np.array([noise.first, *[noise.inner] * (len(distinct) - 2), noise.last])
        places = centres + spreads * rng.standard_normal(centres.shape)  # (L, 2)
        legs_ms = noise.leg_ms * np.exp(noise.spread * rng.standard_normal(len(distinct) - 1))
        rests_ms = noise.double_ms * self._doubled(keys)
        return self._drawn(places, legs_ms, rests_ms)

    def _keys(self, word: str) -> list[str]:
        letters = (letter for letter in word.lower() if letter not in _FREE)
        has_key = self.layout.centre
        return [letter if has_key(letter) else unicodedata.normalize("NFD", letter)[0] for letter in letters]

    @staticmethod
    def _doubled(keys: list[str]) -> NDArray[np.float64]:
        # How often more each letter of the path is written than passed.
        counts: list[int] = []
        for i, key in enumerate(keys):
            if i and key == keys[i - 1]:
                counts[-1] += 1
            else:
                counts.append(0)
        return np.array(counts, np.float64)

    def _drawn(
        self, places: NDArray[np.float64], legs_ms: NDArray[np.float64], rests_ms: NDArray[np.float64]
    ) -> tuple[PathPoint, ...]:
        speeds = np.zeros_like(places)  # at the letters, in key widths a millisecond, (L, 2)
        around = (legs_ms[1:] + legs_ms[:-1])[:, None]
        speeds[1:-1] = self.noise.passing * (places[2:] - places[:-2]) / around
        speeds[rests_ms > 0] = 0
        points = [PathPoint(float(places[0][0]), float(places[0][1]) / KEY_ASPECT, 0.0)]
        t_ms = float(rests_ms[0])
        for i, leg_ms in enumerate(legs_ms):
            num = max(round(leg_ms / self.noise.point_ms), 2)
            part = np.arange(1, num + 1)[:, None] / num
            for x, y in _least_jerk(places[i], places[i + 1], speeds[i] * leg_ms, speeds[i + 1] * leg_ms, part):
                t_ms += leg_ms / num
                points.append(PathPoint(float(x), float(y) / KEY_ASPECT, t_ms))
            t_ms += float(rests_ms[i + 1])
            if rests_ms[i + 1] > 0:
                points.append(points[-1]._replace(t_ms=t_ms))
        return tuple(points)


def _least_jerk(
    begin: NDArray[np.float64],
    end: NDArray[np.float64],
    begin_speed: NDArray[np.float64],
    end_speed: NDArray[np.float64],
    part: NDArray[np.float64],
) -> NDArray[np.float64]:
    # The quintic between two places and speeds that has no acceleration at either, at parts of the time, (N, 2).
    way = end - begin
    cubic = 10 * way - 6 * begin_speed - 4 * end_speed
    quartic = -15 * way + 8 * begin_speed + 7 * end_speed
    quintic = 6 * way - 3 * begin_speed - 3 * end_speed
    return begin + part * (begin_speed + part**2 * (cubic + part * (quartic + part * quintic)))
