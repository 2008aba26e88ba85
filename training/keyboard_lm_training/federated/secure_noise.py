"""Gaussian noise from the system's generator.

Noise that hides people must not come from a generator whose state can be worked out. Four draws are added for each
value: a single one leaks the low bits of what it is added to through the gaps between floating-point numbers (Mironov
2012, "On significance of the least significant bits for differential privacy"; Holohan & Braghin 2021, "Secure random
sampling in differential privacy").
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_DRAWS = 4


def secure_normal(size: int, deviation: float, read: Callable[[int], bytes] = os.urandom) -> NDArray[np.float64]:
    """Return independent Gaussian values with mean 0.

    Args:
        size: how many.
        deviation: their standard deviation.
        read: returns that many random bytes.
    """
    half = -(-size * _DRAWS // 2)
    words = np.frombuffer(read(16 * half), "<u8").reshape(2, half) >> np.uint64(11)  # 53 bits each
    first, second = (words.astype(np.float64) + 1) / 2.0**53  # in (0, 1]
    radius = np.sqrt(-2 * np.log(first))
    normal = np.concatenate((radius * np.cos(2 * np.pi * second), radius * np.sin(2 * np.pi * second)))
    summed: NDArray[np.float64] = normal[: size * _DRAWS].reshape(_DRAWS, size).sum(0) / np.sqrt(_DRAWS)
    return deviation * summed
