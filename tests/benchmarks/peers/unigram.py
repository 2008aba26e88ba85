"""The floor of the comparison: a keyboard that offers the most frequent words, whatever was written before.

    python tests/benchmarks/peers/unigram.py --words LIST "I am goi"
    python tests/benchmarks/peers/unigram.py --words LIST --corpus FOLDER "I am goi"

LIST is a frequency list (word, tab or blank, number); with FOLDER it is counted there first unless it exists.
"""

from __future__ import annotations

import argparse
import heapq
import sys
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from casing import Cursor
from word_list import count_words, read_word_list

from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.evaluation.engine import Bar, Taps

_LAST = "\U0010ffff"  # sorts after whatever may follow a prefix


class UnigramEngine:
    """An `Engine` without context: next words and completions by frequency alone; it corrects nothing.

    Args:
        words: the most frequent first, as they are written inside a sentence.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        by_spelling = sorted((word.lower(), rank) for rank, word in enumerate(words))
        self._spellings = [spelling for spelling, _ in by_spelling]
        self._ranks = [rank for _, rank in by_spelling]
        self._best_ranks = lru_cache(maxsize=1 << 14)(self._find_best_ranks)

    def start_field(self) -> None:
        """Do nothing: no answer depends on another."""

    def bar(self, text: str, num_slots: int, taps: Taps = ()) -> Bar:
        """Return the most frequent words that begin as the word under the cursor does; taps are not looked at."""
        cursor = Cursor.after(text)
        # More than is shown: the typed word is not, and case variants may become one.
        ranks = self._best_ranks(cursor.partial.lower(), 2 * num_slots + 1)
        return Bar(cursor.bar((self._words[rank] for rank in ranks), num_slots))

    def _find_best_ranks(self, prefix: str, num_words: int) -> Sequence[int]:
        if not prefix:
            return range(min(num_words, len(self._words)))
        begin = bisect_left(self._spellings, prefix)
        end = bisect_left(self._spellings, prefix + _LAST)
        return heapq.nsmallest(num_words, self._ranks[begin:end])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="+", help="before the cursor")
    parser.add_argument("--words", type=Path, required=True, help="frequency list")
    parser.add_argument("--corpus", type=Path, help="folder of .txt or .txt.xz files to count where there is no list")
    parser.add_argument("--slots", type=int, default=3)
    options = parser.parse_args()
    try:
        if options.corpus and not options.words.exists():
            print(f"counting the words of {options.corpus} ...", file=sys.stderr)
            count_words(options.corpus, options.words)
        engine = UnigramEngine(read_word_list(options.words))
    except KeyboardLMError as error:
        raise SystemExit(f"error: {error}") from None
    for text in options.text:
        print(f"{text!r}: {' | '.join(engine.bar(text, options.slots).slots)}")


if __name__ == "__main__":
    main()
