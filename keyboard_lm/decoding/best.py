"""The k best of many, in an order that another program can follow: equal ones by their place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def best_places(values: NDArray[Any], num: int) -> NDArray[np.intp]:
    """Return where the `num` largest values are, in ascending order of places; of equal ones the first.

    `numpy.argpartition` leaves it open which of equal values at the cut are taken, and in what order.
    """
    if num >= len(values):
        return np.arange(len(values))
    if num <= 0:
        return np.empty(0, np.intp)
    ordered = values.copy()
    ordered.partition(len(values) - num)
    least = ordered[len(values) - num]
    places: NDArray[np.intp] = (values >= least).nonzero()[0]
    if len(places) > num:  # equal ones at the cut: the last of them go
        is_kept = np.ones(len(places), np.bool_)
        is_kept[(values.take(places) == least).nonzero()[0][num - len(places) :]] = False
        places = places[is_kept]
    return places
