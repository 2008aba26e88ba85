"""How probable each letter is to be typed next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.decoding.context import Boundary
from keyboard_lm.decoding.pieces import PieceSet, PieceTable
from keyboard_lm.decoding.word_boundary import Path
from keyboard_lm.text.case import fold

END = " "  # stands for the end of the word


def next_letters(table: PieceTable, boundary: Boundary, prefix: str) -> dict[str, float]:
    """Return the probability of each letter that may follow in a word, `END` among them.

    Every way to write the prefix in pieces counts as far as the network has been asked about it; it is not asked
    anything. So what follows a piece that ends where the prefix does is left out until a search has looked there, and
    the probabilities are shares of what is known.

    Args:
        table: of the tokenizer's pieces.
        boundary: where the word begins.
        prefix: letters typed since, normalised, in any case; ``""`` for the first letter of the next word.

    Returns:
        Small letters and what they are followed by; they sum to 1, or there is none.
    """
    masses: defaultdict[str, float] = defaultdict(float)
    waiting: list[tuple[Path, str, float]] = [((), fold(prefix), 1.0)]  # pieces, prefix not yet covered, probability
    while waiting:
        path, rest, mass = waiting.pop()
        probabilities = boundary.probabilities(path).astype(np.float64) * mass
        for pieces in (table.ends, table.opens):
            of_pieces = probabilities[pieces.ids] * (pieces.may_begin if not path else 1.0)
            for letter, share in _after(pieces, rest, of_pieces):
                masses[letter] += share
        masses[END] += float(probabilities[table.ends.ids[_whole(table.ends, path, rest)]].sum())
        for length in range(1, len(rest) + 1):
            group = table.opens.group(rest[:length])
            for index in range(group.start, group.stop):
                piece_id = int(table.opens.ids[index])
                longer = (*path, piece_id)
                if boundary.is_known(longer) and (path or table.opens.may_begin[index]):
                    waiting.append((longer, rest[length:], float(probabilities[piece_id])))
    total = sum(masses.values())
    return {letter: mass / total for letter, mass in masses.items() if mass > 0}


def _after(pieces: PieceSet, rest: str, masses: NDArray[np.float64]) -> Iterator[tuple[str, float]]:
    # Pieces lie in the order of their texts: those that go on with the same letter are neighbours.
    span = pieces.starting_with(rest)
    first = max(span.start, pieces.group(rest).stop)
    while first < span.stop:
        letter = pieces.keys[first][len(rest)]
        last = pieces.starting_with(rest + letter).stop
        yield letter, float(masses[first:last].sum())
        first = last


def _whole(ends: PieceSet, path: Path, rest: str) -> NDArray[np.intp]:
    group = ends.group(rest)
    indices: NDArray[np.intp] = np.arange(group.start, group.stop)
    return indices if path else indices[ends.may_begin[group]]
