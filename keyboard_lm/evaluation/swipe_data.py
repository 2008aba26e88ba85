"""Swipes to measure on: recorded ones, whose keyboard may not be known, and drawn ones, behind texts."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from keyboard_lm.errors import DataError
from keyboard_lm.evaluation.swiper import Swiper
from keyboard_lm.evaluation.texts import EvaluationText
from keyboard_lm.evaluation.words import words_of
from keyboard_lm.swipe.decoder import SwipeCandidate, SwipeFinder
from keyboard_lm.text.case import fold
from keyboard_lm.touch.layout import Layout
from keyboard_lm.touch.path import KEY_ASPECT, PathPoint, track

Half = Literal["tuning", "reporting"]


class KeyGrid(NamedTuple):
    """Where a keyboard's letters are on a screen, in the units of its recording.

    Attributes:
        key_width: from one key's middle to the next one's.
        row_height: from one row's middle to the next one's.
        left: of the first row's first key.
        top: of the first row.
        share: how many recordings are of such a keyboard.
    """

    key_width: float
    row_height: float
    left: float = 0.0
    top: float = 0.0
    share: float = 1.0

    def on_keys(self, points: Sequence[PathPoint]) -> list[PathPoint]:
        """Return points in key widths and heights."""
        return [
            PathPoint((x - self.left) / self.key_width, (y - self.top) / self.row_height, t_ms) for x, y, t_ms in points
        ]


# The phones of the How-We-Swipe volunteers (Leiva et al. 2021), whose widths and rows the recording does not state: a
# mixture that the swipes of the tuning half made most probable. Pixels.
PHONES = (
    KeyGrid(36.0, 64.8, top=-6.5, share=0.30),
    KeyGrid(41.2, 74.0, top=-8.2, share=0.30),
    KeyGrid(41.2, 73.5, top=4.0, share=0.15),
    KeyGrid(43.8, 79.0, top=-8.7, share=0.09),
    KeyGrid(37.2, 60.0, top=-8.5, share=0.06),
    KeyGrid(39.5, 71.0, top=-7.0, share=0.10),
)
ONE_KEYBOARD = (KeyGrid(1.0, 1.0),)


@dataclass(frozen=True)
class Swipe:
    """One swiped word.

    Attributes:
        word: that was meant.
        points: of the path.
        grids: what the keyboard may have been like; one where it is known.
        contexts: texts that it may have been written after; empty where none is known.
    """

    word: str
    points: tuple[PathPoint, ...]
    grids: tuple[KeyGrid, ...] = ONE_KEYBOARD
    contexts: tuple[str, ...] = ()


def letters_of(word: str) -> str:
    """Return the letters of a word, folded: what a path can tell of it."""
    return "".join(filter(str.isalpha, fold(word)))


def passes(swipe: Swipe, layout: Layout, within: float = 1.5) -> bool:
    """Return whether a path leads past the letters of its word, on any of the keyboards that it may be of.

    It begins near the first letter, ends near the last, and comes near the others in their order. A swipe that does not
    was lifted half way, is a tap, or drew another word.

    Args:
        swipe: with the word that was meant.
        layout: of the keys.
        within: key widths that are near.
    """
    centres = [centre for letter in letters_of(swipe.word) if (centre := layout.centre(letter))]
    keys = np.array([(centre.x, centre.y * KEY_ASPECT) for centre in centres])  # (L, 2)
    for grid in swipe.grids:
        places = track(grid.on_keys(swipe.points), layout).places
        is_near = np.hypot(*(places[:, None] - keys).transpose(2, 0, 1)) <= within  # (T, L)
        at = 0
        for column in is_near.T:
            later = column[at:].nonzero()[0]
            if not len(later):
                break
            at += int(later[0])
        else:
            if is_near[0, 0] and is_near[-1, -1]:
                return True
    return False


def half_of(word: str) -> Half:
    """Return which half a word belongs to: that of an even SHA-256 is tuned on, that of an odd one reported on."""
    return "reporting" if hashlib.sha256(word.encode()).digest()[-1] % 2 else "tuning"


def read_swipes(path: Path) -> list[Swipe]:
    """Read recorded swipes: JSON lines ``{"word": ..., "curve": {"x": [...], "y": [...], "t": [...]}}``.

    Where a line has ``"keyboard": {"key_width", "row_height", "left", "top"}`` in the curve's units, that is the
    keyboard; elsewhere it is one of `PHONES`.

    Raises:
        DataError: the file cannot be read, or a line is no swipe.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    swipes = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                swipes.append(_parsed(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                raise DataError(f"{path}, line {number}: no swipe ({error}); see docs/swipe.md") from None
    if not swipes:
        raise DataError(f"{path}: no swipes in this file")
    return swipes


def _parsed(row: Any) -> Swipe:
    curve = row["curve"]
    points = tuple(PathPoint(*map(float, point)) for point in zip(curve["x"], curve["y"], curve["t"], strict=True))
    if not points or not isinstance(row["word"], str) or not letters_of(row["word"]):
        raise ValueError("a swipe has a word and points")
    known = row.get("keyboard")
    return Swipe(row["word"], points, (KeyGrid(**known),) if known is not None else PHONES)


def behind_sentences(swipes: Iterable[Swipe], texts: Iterable[EvaluationText], num_contexts: int = 3) -> list[Swipe]:
    """Put swipes of words that came alone where texts have these words.

    Args:
        swipes: of any words; those that no text has keep no context.
        texts: in the order of their messages; what stands before a word in its message becomes its context.
        num_contexts: as many, chosen by the hash of word and context.
    """
    places: dict[str, set[str]] = {}
    for text in texts:
        for document in text.documents:
            for message in document:
                for word in words_of(message):
                    places.setdefault(letters_of(word.text), set()).add(message[: word.start])

    def chosen(word: str) -> tuple[str, ...]:
        known = places.get(letters_of(word), ())
        order = sorted(known, key=lambda text: hashlib.sha256(f"{letters_of(word)}\t{text}".encode()).digest())
        return tuple(order[:num_contexts])

    return [Swipe(each.word, each.points, each.grids, chosen(each.word)) for each in swipes]


def drawn(texts: Iterable[EvaluationText], swiper: Swiper, rng: np.random.Generator) -> list[Swipe]:
    """Return a swipe of every word of texts that can be swiped, behind what stands before it."""
    return [
        Swipe(word.text, path, contexts=(message[: word.start],))
        for text in texts
        for document in text.documents
        for message in document
        for word in words_of(message)
        if (path := swiper.swipe(word.text, rng))
    ]


class MarginalFinder:
    """Finds words for paths on a keyboard that may have been any of several.

    P(path | word) is the sum over keyboards, each with its share.

    Args:
        finder: for a path whose keyboard is known.

    Attributes:
        grids: of the keyboards; points are in their units.
    """

    def __init__(self, finder: SwipeFinder) -> None:
        self.grids: tuple[KeyGrid, ...] = ONE_KEYBOARD
        self._finder = finder
        self._last: tuple[object, list[SwipeCandidate]] = (None, [])  # one path is asked about several times

    def forget(self) -> None:
        """Read the next path anew, whether it was the last or not."""
        self._last = None, []

    def find(self, points: Sequence[PathPoint]) -> list[SwipeCandidate]:
        """Return the words that a path may have meant, most probable first, their frequency apart."""
        if self._last[0] == (points, self.grids):
            return list(self._last[1])
        logs: dict[int, tuple[float, SwipeCandidate]] = {}
        for grid in self.grids:
            for found in self._finder.find(grid.on_keys(points)):
                log = found.log_likelihood + math.log(grid.share)
                known = logs.get(found.entry)
                logs[found.entry] = (log if known is None else float(np.logaddexp(known[0], log))), found
        ranked = sorted(logs.items(), key=lambda item: (-item[1][0], item[0]))
        self._last = (points, self.grids), [found._replace(log_likelihood=log) for _, (log, found) in ranked]
        return list(self._last[1])
