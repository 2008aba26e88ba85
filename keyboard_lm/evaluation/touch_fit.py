"""Fits where taps fall around the key that they mean: ``python -m keyboard_lm.evaluation.touch_fit FILE``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import DataError, KeyboardLMError
from keyboard_lm.evaluation.alignment import align
from keyboard_lm.evaluation.noise import TapSpread
from keyboard_lm.evaluation.touch_recording import BACKSPACE, Press, TouchRecording, parse_recording
from keyboard_lm.touch.layout import SPACE

MAX_MISS = 1.5  # key widths or heights from the key that was meant; a tap further off meant something else
OUTLIER_SD = 3.0  # robust standard deviations from the median
PRIOR_TAPS = 20  # a key's own numbers count as much as all keys' together when this many of its taps were seen
MIN_TAPS = 5  # a key with fewer has no numbers of its own
_MAD_TO_SD = 1.4826  # of a Gaussian


@dataclass(frozen=True)
class Miss:
    """How far beside the centre of the key that it meant a tap fell, in key widths and heights."""

    key: str
    dx: float
    dy: float


@dataclass(frozen=True)
class TouchFit:
    """Where taps fall.

    Attributes:
        taps: of all letter keys.
        keys: of single keys.
        num_taps: that the fit is of, by key.
        num_left_out: taps of letters that were too far off.
    """

    taps: TapSpread
    keys: dict[str, TapSpread]
    num_taps: dict[str, int]
    num_left_out: int

    def to_toml(self) -> str:
        """Return the tables ``[taps]`` and ``[keys]`` of ``noise.toml``."""
        letters = sum(count for key, count in self.num_taps.items() if key != SPACE)
        lines = [
            f"# Fitted to {letters} taps on letters by keyboard_lm.evaluation.touch_fit; {self.num_left_out} left out.",
            "[taps]",
            *(f"{name} = {value:.3f}" for name, value in vars(self.taps).items()),
            "",
            "[keys]",
        ]
        for key, spread in sorted(self.keys.items()):
            numbers = ", ".join(f"{name} = {value:.3f}" for name, value in vars(spread).items())
            lines.append(f'"{key}" = {{ {numbers} }} # {self.num_taps[key]} taps')
        return "\n".join(lines) + "\n"


def read_misses(path: Path) -> list[Miss]:
    """Return the misses of a file of recordings; see `keyboard_lm.evaluation.touch_recording`.

    Raises:
        DataError: the file cannot be read or has other lines.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start + 1}; convert it, for example with iconv") from None
    recordings = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                recordings.append(parse_recording(json.loads(line)))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise DataError(f"{path}: line {number} is no recording of taps ({error!r})") from None
    return misses_of(recordings)


def misses_of(recordings: Iterable[TouchRecording]) -> list[Miss]:
    """Return how far off the taps were that somebody aimed at a key.

    The key that was meant is the prompt's character that the hit key is aligned with, so that taps on a neighbouring
    key count, and taps that mean nothing do not. Recordings made with a mouse and repetitions of the same presses are
    left out; so is a press at the very place of the one before, which no finger can hit twice.
    """
    misses = []
    seen: set[tuple[str, tuple[Press, ...]]] = set()
    for recording in recordings:
        identity = (recording.session, recording.presses)
        if recording.is_mouse or identity in seen:
            continue
        seen.add(identity)
        presses = [
            press
            for before, press in zip((None, *recording.presses), recording.presses, strict=False)
            if press.char not in (None, BACKSPACE) and (before is None or press.tap != before.tap)
        ]
        meant = recording.prompt.lower()
        hit = "".join(press.char or "" for press in presses)
        for i, j in align(hit, meant, is_complete=False):
            centre = recording.centres.get(meant[j]) if j is not None else None
            if i is not None and j is not None and centre is not None:
                tap = presses[i].tap
                misses.append(Miss(meant[j], tap.x - centre.x, tap.y - centre.y))
    return misses


def fit(misses: Sequence[Miss]) -> TouchFit:
    """Fit a Gaussian with independent axes to all letters, and one to each key with enough taps.

    Taps further than `MAX_MISS` off, and then those further than `OUTLIER_SD` robust standard deviations (from the
    median absolute deviation) from the median, are left out; mean and standard deviation are those of the rest. A
    letter's own mean and variance are drawn towards all letters', as if `PRIOR_TAPS` more of its taps had been seen
    that fell like those. The space bar, whose length invites wide taps, stands for itself.

    Raises:
        DataError: fewer than `MIN_TAPS` taps of letters.
    """
    letters = [miss for miss in misses if miss.key.isalpha()]
    points = _points(letters)
    is_kept = _inliers(points)
    if is_kept.sum() < MIN_TAPS:
        raise DataError(f"only {is_kept.sum()} taps of letters can be used; a fit needs {MIN_TAPS}")
    mean, variance = points[is_kept].mean(axis=0), points[is_kept].var(axis=0)
    keys: dict[str, TapSpread] = {}
    num_taps: dict[str, int] = {}
    kept = [miss for miss, keep in zip(letters, is_kept, strict=True) if keep]
    for key in sorted({miss.key for miss in kept}):
        own = _points([miss for miss in kept if miss.key == key])
        num_taps[key] = len(own)
        if len(own) >= MIN_TAPS:
            total = len(own) + PRIOR_TAPS
            centre = (own.sum(axis=0) + PRIOR_TAPS * mean) / total
            squares = ((own - centre) ** 2).sum(axis=0) + PRIOR_TAPS * (variance + (mean - centre) ** 2)
            keys[key] = _spread(centre, squares / total)
    spaces = _points([miss for miss in misses if miss.key == SPACE])
    spaces = spaces[_inliers(spaces)]
    if len(spaces) >= MIN_TAPS:
        num_taps[SPACE] = len(spaces)
        keys[SPACE] = _spread(spaces.mean(axis=0), spaces.var(axis=0))
    return TouchFit(_spread(mean, variance), keys, num_taps, int((~is_kept).sum()))


def _points(misses: Sequence[Miss]) -> NDArray[np.float64]:
    return np.array([(miss.dx, miss.dy) for miss in misses], dtype=np.float64).reshape(-1, 2)  # (taps, 2)


def _inliers(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    near = np.asarray((np.abs(points) <= MAX_MISS).all(axis=1), dtype=np.bool_)
    if not near.any():
        return near
    median = np.median(points[near], axis=0)
    deviation = np.abs(points - median)
    limit = OUTLIER_SD * _MAD_TO_SD * np.median(deviation[near], axis=0)
    return np.asarray(near & (deviation <= limit).all(axis=1), dtype=np.bool_)


def _spread(mean: NDArray[np.float64], variance: NDArray[np.float64]) -> TapSpread:
    sd = np.sqrt(variance)
    return TapSpread(float(mean[0]), float(mean[1]), float(sd[0]), float(sd[1]))


def main(arguments: Sequence[str]) -> int:
    """Print the fit of one file as TOML; return the exit status."""
    if len(arguments) != 1:
        print("usage: python -m keyboard_lm.evaluation.touch_fit FILE", file=sys.stderr)
        return 2
    try:
        print(fit(read_misses(Path(arguments[0]))).to_toml(), end="")
    except KeyboardLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
