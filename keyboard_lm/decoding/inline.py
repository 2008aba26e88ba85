"""Inline prediction: several words ahead, as long as it is likely that they come exactly so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keyboard_lm.decoding.best import best_places
from keyboard_lm.decoding.context import Boundary
from keyboard_lm.decoding.pieces import PieceSet, PieceTable
from keyboard_lm.decoding.search import SearchOptions, find_words
from keyboard_lm.decoding.word_boundary import Path, Probabilities
from keyboard_lm.errors import ConfigError


@dataclass(frozen=True)
class InlineOptions:
    """When to show ghost text.

    Attributes:
        threshold: least probability of all of it. At 0.65 four of five ghosts were what was written, on five texts of
            dialogue, mail and chat (precision 63 % at 0.45, 73 at 0.55, 86 at 0.7, 92 at 0.8, as `keyboard-lm eval
            inline` measures it).
        max_words: most words.
        min_chars: shorter ghosts are not worth a glance.
    """

    threshold: float = 0.65
    max_words: int = 5
    min_chars: int = 3

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigError: naming all mistakes.
        """
        mistakes = [] if 0 < self.threshold < 1 else [f"threshold must be between 0 and 1, not {self.threshold!r}"]
        mistakes += [
            f"{name} must be at least 1" for name in ("max_words", "min_chars") if getattr(self, name) < 1
        ]  # fmt: skip
        if mistakes:
            raise ConfigError("inline: " + "; ".join(mistakes))


class _Continued(Boundary):
    """The boundary that a path of whole words leads to, behind the same cached context."""

    def __init__(self, boundary: Boundary, path: Path) -> None:
        self._boundary = boundary
        self._path = path

    def probabilities(self, path: Path = ()) -> Probabilities:
        return self._boundary.probabilities(self._path + path)

    def arranged(self, pieces: PieceSet, path: Path = (), begins: bool = True) -> Probabilities:
        return self._boundary.arranged(pieces, self._path + path, begins)

    def is_known(self, path: Path) -> bool:
        return self._boundary.is_known(self._path + path)

    def expand(self, paths: Sequence[Path]) -> bool:
        return self._boundary.expand([self._path + path for path in paths])


def continuation(
    table: PieceTable, boundary: Boundary, path: Path, max_nodes: int, num_words: int = 1, least: float = 0.0
) -> list[tuple[str, float]] | None:
    """Return the most probable words after whole words, each with its probability.

    Args:
        table: of the tokenizer's pieces.
        boundary: where the words begin.
        path: their pieces.
        max_nodes: of one call of the network.
        num_words: how many.
        least: where no word can be as probable, there may be none in the answer.

    Returns:
        None where the network would have to be asked and may not be, or the path is too long for a call.
    """
    if not boundary.is_known(path) and (len(path) > max_nodes or not boundary.expand([path])):
        return None
    if table.shows_ends:  # words of one piece: no further call
        words = boundary.words_after.get((path, num_words))
        if words is None:
            given = boundary.arranged(table.ends, path)  # (N,)
            if float(given.max()) * table.ends.largest_group < least:
                return []
            words = boundary.words_after[path, num_words] = _of_one_piece(table.ends, given, num_words)
        return words
    room = max_nodes - len(path)  # each call is about the path's pieces as well
    options = SearchOptions(max_rounds=min(room, 1), max_nodes=max(room, 1))
    found = find_words(table, _Continued(boundary, path), "", num_words, options)
    return [(word.text, word.probability) for word in found.words]


def _of_one_piece(ends: PieceSet, given: Probabilities, num_words: int) -> list[tuple[str, float]]:
    # As `find_words` does without a prefix and without a call.
    given = given.astype(np.float64)  # (N,)
    masses = np.add.reduceat(given, ends.group_starts) * ends.group_is_word  # (G,)
    groups = best_places(masses, num_words)
    words = []
    for group, mass in zip(groups.tolist(), masses.take(groups).tolist(), strict=True):
        start = int(ends.group_starts[group])
        key = ends.keys[start]
        span = ends.group(key)
        variants = zip(given[span].tolist(), ends.texts[span], strict=True)
        if mass > 0:
            words.append((-mass, key, min((-share, text) for share, text in variants)[1]))
    return [(text, -mass) for mass, _, text in sorted(words)]
