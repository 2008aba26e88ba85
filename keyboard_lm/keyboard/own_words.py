"""The words of the writer's own that may have been meant: names and jargon that the lexicon does not know."""

from __future__ import annotations

import math
from collections.abc import Sequence

from keyboard_lm.correction.candidates import Candidate, CandidateOptions, CandidateSearch
from keyboard_lm.errors import ConfigError
from keyboard_lm.keyboard.language import Language
from keyboard_lm.personal.store import PersonalStore
from keyboard_lm.touch.channel import Channel
from keyboard_lm.touch.layout import Layout, Tap
from keyboard_lm.words.lexicon import Entry, Lexicon, build_lexicon

_MOST_WORDS = 2_000  # the heaviest of all that were learned
_FREQUENCY = 1  # any above 0: how probable a word is, the store says


class OwnWords:
    """Finds learned words by what was typed, through the same channel as the lexicon's.

    Args:
        store: what was learned.
        language: whose lexicon's words are left to it.
        layout: of the keyboard.
    """

    def __init__(self, store: PersonalStore, language: Language, layout: Layout) -> None:
        self._store = store
        self._language = language
        self._layout = layout
        self._num_words = -1
        self._words: frozenset[str] = frozenset()  # that `_search` finds, or no lexicon can hold
        self._search: CandidateSearch | None = None

    def find(self, typed: str, taps: Sequence[Tap | None] = ()) -> list[Candidate]:
        """Return the learned words that may have been meant, most promising first.

        Args:
            typed: the letters of a finished word; case is ignored.
            taps: one for each letter, or none.
        """
        num_words = self._store.num_words()
        if num_words != self._num_words:
            self._num_words = num_words
            words = frozenset(word for word in self._store.words(_MOST_WORDS) if not self._language.lexicon.known(word))
            if words != self._words:
                self._words, self._search = words, self._searching(words)
        if self._search is None:
            return []
        return [each._replace(log_frequency=-math.inf) for each in self._search.find(typed, taps)]

    def _searching(self, words: frozenset[str]) -> CandidateSearch | None:
        lexicon = _lexicon([Entry(word, _FREQUENCY) for word in words])
        if lexicon is None:
            return None
        channel = Channel(self._layout, lexicon.alphabet, self._language.channel)
        return CandidateSearch(lexicon, channel, CandidateOptions(num_words=4, beam=200))


def _lexicon(entries: list[Entry]) -> Lexicon | None:
    kept = []
    for entry in entries:
        try:
            build_lexicon([entry])
        except ConfigError:
            continue  # a word that no lexicon can hold
        kept.append(entry)
    try:
        return build_lexicon(kept) if kept else None
    except ConfigError:
        return None  # of more letters than a lexicon can hold
