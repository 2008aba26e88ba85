"""Completions of a word whose first letters are mistyped: of the beginnings that may have been meant."""

from __future__ import annotations

from collections.abc import Sequence

from keyboard_lm.correction.candidates import CandidateSearch
from keyboard_lm.decoding.best import best_places
from keyboard_lm.decoding.context import Boundary
from keyboard_lm.decoding.pieces import PieceTable
from keyboard_lm.touch.layout import Tap

_WORDS_EACH = 2  # of one beginning
_FEW = 48  # pieces, the best of which are sooner found in a list


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
    ends = table.ends
    given = boundary.arranged(ends)  # (N,)
    for prefix, log_likelihood in search.prefixes(typed, taps, num_prefixes):
        span = ends.starting_with(prefix)
        first, num = span.start, span.stop - span.start
        if not num:
            continue
        masses = given[span]
        if num > _FEW:
            places = best_places(masses, _WORDS_EACH)
            found = zip((places + first).tolist(), masses.take(places).tolist(), strict=True)
        else:
            few = masses.tolist()
            best = sorted(range(num), key=few.__getitem__, reverse=True)[:_WORDS_EACH]  # of equal ones the first
            found = zip([first + i for i in sorted(best)], [few[i] for i in sorted(best)], strict=True)
        words += [(ends.texts[place], mass, log_likelihood) for place, mass in found if mass > 0 and ends.texts[place]]
    return words
