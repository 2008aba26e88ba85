"""The laws of paths: any input has an answer or one clear error, and tracks are even."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyboard_lm.touch.layout import load_layout
from keyboard_lm.touch.path import KEY_ASPECT, MAX_POINTS, PathError, PathPoint, is_tap, track

LAYOUT = load_layout()
PLACES = st.floats(-3, 13)
POINTS = st.builds(PathPoint, PLACES, st.floats(-3, 6), st.floats(0, 5000))
PATHS = st.lists(POINTS, min_size=1, max_size=40)
ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.builds(PathPoint, ANY, ANY, ANY), max_size=8))
def test_any_numbers_give_a_track_or_one_error(points: list[PathPoint]) -> None:
    is_possible = bool(points) and all(math.isfinite(number) for point in points for number in point)
    if not is_possible:
        with pytest.raises(PathError):
            track(points, LAYOUT)
        return
    found = track(points, LAYOUT)
    assert np.isfinite(found.places).all()
    assert np.isfinite(found.speeds).all()
    assert 8 <= len(found.places) == len(found.speeds) <= 56


@pytest.mark.parametrize("points", [[], [(0.0, 0.0)], [("a", 1, 2)], ["abc"], [(0, 0, 0)] * (MAX_POINTS + 1)])
def test_what_is_no_path_is_one_error(points: list[PathPoint]) -> None:
    for read in (is_tap, lambda path: track(path, LAYOUT)):
        with pytest.raises(PathError):
            read(points)


@given(PATHS)
def test_the_points_of_a_track_are_evenly_spaced_along_the_path(points: list[PathPoint]) -> None:
    found = track(points, LAYOUT)
    steps = np.hypot(*np.diff(found.places, axis=0).T)
    assert (steps <= found.length / (len(steps)) + 1e-4).all()  # straight lines are no longer than the way
    first, last = points[0], points[-1]
    assert np.allclose(found.places[0], (min(max(first.x, -2), 12), min(max(first.y, -2), 5) * KEY_ASPECT), atol=1e-4)
    assert np.allclose(found.places[-1], (min(max(last.x, -2), 12), min(max(last.y, -2), 5) * KEY_ASPECT), atol=1e-4)


@given(PATHS, st.floats(0.5, 20))
@example([PathPoint(0.0, 0.0, 0.0), PathPoint(0.0, 2.3e-311, 10.0)], 1.0)  # so short that its steps are no numbers
def test_a_path_drawn_faster_has_the_same_speeds(points: list[PathPoint], factor: float) -> None:
    points = [point._replace(t_ms=10.0 * i) for i, point in enumerate(points)]
    faster = [point._replace(t_ms=point.t_ms * factor) for point in points]
    assert np.allclose(track(points, LAYOUT).speeds, track(faster, LAYOUT).speeds, rtol=1e-2, atol=1e-3)


def test_a_rest_is_slow_and_what_is_slow_is_where_the_finger_rested() -> None:
    points = [PathPoint(0.5 + 0.1 * i, 0.5, 10.0 * i + (500.0 if i > 40 else 0)) for i in range(81)]
    found = track(points, LAYOUT)
    assert abs(float(found.places[int(found.speeds.argmin())][0]) - 4.5) < 0.5


def test_a_finger_that_stays_on_a_key_taps() -> None:
    assert is_tap([PathPoint(4.5, 0.5, 0), PathPoint(4.7, 0.6, 50)])
    assert not is_tap([PathPoint(4.5, 0.5, 0), PathPoint(5.5, 0.5, 50)])
    assert not is_tap([PathPoint(4.5, 0.5, 0), PathPoint(4.5, 1.5, 50), PathPoint(4.5, 0.5, 90)])
