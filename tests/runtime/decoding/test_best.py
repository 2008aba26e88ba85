"""The k best, against sorting all of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keyboard_lm.decoding.best import best_places

VALUES = st.lists(st.integers(0, 4) | st.floats(-1e6, 1e6, width=32), max_size=40)


@given(VALUES, st.integers(0, 45))
def test_the_best_are_those_that_a_stable_sort_puts_first(values: list[float], num: int) -> None:
    expected = sorted(sorted(range(len(values)), key=lambda place: -values[place])[:num])
    assert best_places(np.array(values, np.float64), num).tolist() == expected
