"""Completions of a word whose first letters are mistyped: of the beginnings that may have been meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keyboard_lm.candidates import CandidateSearch
from keyboard_lm.context import Boundary
from keyboard_lm.layout import Tap
from keyboard_lm.pieces import PieceTable

_WORDS_EACH = 2  # of one beginning


def mistyped_completions(
    search: CandidateSearch,
    table: PieceTable,
    boundary: Boundary,
    typed: str,
    taps: Sequence[Tap | None],
    num_prefixes: int,
) -> list[tuple[str, float, float]]:
    """Return words that begin with what may have been meant by some letters, from the distribution at the boundary.

    Only words of one piece are looked at, so the network is not asked.

    Args:
        search: of the lexicon.
        table: of the tokenizer's pieces.
        boundary: where the word begins.
        typed: letters of a word that goes on.
        taps: one for each letter, or none.
        num_prefixes: how many beginnings, the most promising first.

    Returns:
        Words, each with its probability given the context and the logarithm of that of the letters given its beginning.
    """
    words = []
    probabilities = boundary.probabilities()
    for prefix, log_likelihood in search.prefixes(typed, taps, num_prefixes):
        span = table.ends.starting_with(prefix)
        if span.start == span.stop:
            continue
        masses = probabilities[table.ends.ids[span]] * table.ends.may_begin[span]
        num = min(_WORDS_EACH, len(masses))
        for place in np.argpartition(masses, len(masses) - num)[-num:].tolist():
            if masses[place] > 0 and table.ends.texts[span.start + place]:
                words.append((table.ends.texts[span.start + place], float(masses[place]), log_likelihood))
    return words
