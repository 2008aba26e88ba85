"""The way a finger slid over a keyboard: checked, smoothed into evenly spaced points, told from a tap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.touch.layout import Layout, Tap

Floats = NDArray[np.float32]
MAX_POINTS = 10_000  # half a minute at 300 points a second
KEY_ASPECT = 1.5  # a key's height in key widths: iPhone 1.44, Android 1.3 to 1.7
_SPACING = 0.4  # key widths from one point of a track to the next, as long as there are fewer than _MAX_SAMPLES
_MIN_SAMPLES, _MAX_SAMPLES = 8, 56
_TAP_EXTENT = 0.6  # key widths; two keys are 1 apart, and a tap that slips stays on its own
_MOST_SPEED = 100.0  # times the mean
_LATEST_MS = 1e12
_MARGIN = 2.0  # keys around the letters that a point is brought back to: a finger may well leave the keyboard


class PathError(KeyboardLMError):
    """A path that no finger can have drawn."""


class PathPoint(NamedTuple):
    """Where a finger was, and when.

    Attributes:
        x: in key widths from the left, as `Tap` has it.
        y: in key heights from the top, as `Tap` has it.
        t_ms: milliseconds since any moment; never less than the point's before.
    """

    x: float
    y: float
    t_ms: float


@dataclass(frozen=True, eq=False)
class Track:
    """A path as points at even distances, in key widths both ways.

    Attributes:
        places: of the points, (T, 2); y is in key widths, too.
        speeds: at the points, relative to the path's mean; 1 where times are not known, (T,).
        length: of the path in key widths.
        duration_ms: of the path; 0 where times are not known.
    """

    places: Floats
    speeds: Floats
    length: float
    duration_ms: float


def is_tap(points: Sequence[PathPoint]) -> bool:
    """Return whether a finger stayed where it came down, so that its key was typed and nothing drawn.

    Raises:
        PathError: as `track`.
    """
    table = _checked(points)
    extent = (table[:, :2].max(axis=0) - table[:, :2].min(axis=0)) * (1.0, KEY_ASPECT)
    return bool(extent.max() < _TAP_EXTENT)


def tap_of(points: Sequence[PathPoint]) -> Tap:
    """Return where a path began, as a tap."""
    return Tap(float(points[0].x), float(points[0].y))


def track(points: Sequence[PathPoint], layout: Layout) -> Track:
    """Return a path as evenly spaced points.

    Args:
        points: in the order they were touched.
        layout: of the keyboard; points far outside it are brought to its edge.

    Raises:
        PathError: there is no point, more than 10,000, or one whose numbers are no numbers.
    """
    table = _checked(points)
    right = max(row.left + len(row.keys) for row in layout.rows)
    low, high = (-_MARGIN, -_MARGIN), (right + _MARGIN, len(layout.rows) + _MARGIN)
    places = np.clip(table[:, :2], low, high) * (1.0, KEY_ASPECT)  # (P, 2)
    times = np.maximum.accumulate(np.clip(table[:, 2], -_LATEST_MS, _LATEST_MS))  # clocks that go back stand still
    steps = np.hypot(*np.diff(places, axis=0).T)  # (P - 1,)
    along = np.concatenate(([0.0], np.cumsum(steps)))  # (P,)
    length, duration = float(along[-1]), float(times[-1] - times[0])
    num = min(max(math.ceil(length / _SPACING) + 1, _MIN_SAMPLES), _MAX_SAMPLES)
    wanted = np.linspace(0.0, length, num)
    even = np.stack([np.interp(wanted, along, places[:, axis]) for axis in (0, 1)], axis=1)
    return Track(even.astype(np.float32), _speeds(wanted, along, times), length, duration)


def _speeds(wanted: NDArray[np.float64], along: NDArray[np.float64], times: NDArray[np.float64]) -> Floats:
    # At each point over half a sample's way before and behind it.
    length, duration = along[-1], times[-1] - times[0]
    if length < 1e-9 or not duration:  # shorter ones divide to no number
        return np.ones(len(wanted), np.float32)
    half = length / (len(wanted) - 1) / 2
    edges = np.clip(np.stack([wanted - half, wanted + half]), 0.0, length)  # (2, T)
    # A finger at rest has been at one place at many times: it came when it first was there, and went when it last was.
    tiny = length * 1e-9
    strictly = along + np.arange(len(along)) * tiny
    first, last = np.interp(edges[0], strictly, times), np.interp(edges[1] + len(along) * tiny, strictly, times)
    mean = length / duration
    speeds = (edges[1] - edges[0]) / np.maximum(last - first, 1e-3) / mean
    slower: Floats = np.minimum(speeds, _MOST_SPEED).astype(np.float32)
    return slower


def _checked(points: Sequence[PathPoint]) -> NDArray[np.float64]:
    if not 0 < len(points) <= MAX_POINTS:
        raise PathError(f"a swipe of {len(points):,} points cannot be read; send 1 to {MAX_POINTS:,}")
    try:
        table = np.array(points, np.float64)
    except (TypeError, ValueError) as error:
        raise PathError(f"a swipe's points are x, y and milliseconds ({error})") from None
    if table.ndim != 2 or table.shape[1] != 3:
        raise PathError("a swipe's points are x, y and milliseconds")
    wrong = ~np.isfinite(table).all(axis=1)
    if wrong.any():
        raise PathError(f"point {int(wrong.argmax()) + 1} of the swipe is not a place and a time; leave it out")
    return table
