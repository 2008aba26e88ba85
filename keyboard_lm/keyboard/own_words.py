"""The words of the writer's own that may have been meant: names and jargon that the lexicon does not know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keyboard_lm.correction.candidates import Candidate, CandidateOptions, CandidateSearch
from keyboard_lm.errors import ConfigError
from keyboard_lm.keyboard.language import Language
from keyboard_lm.personal.store import PersonalStore
from keyboard_lm.touch.channel import Channel
from keyboard_lm.touch.layout import Layout, Tap
from keyboard_lm.touch.path import PathPoint
from keyboard_lm.words.lexicon import Entry, Lexicon, build_lexicon

if TYPE_CHECKING:  # loaded at the first path
    from keyboard_lm.swipe.decoder import SwipeCandidate, SwipeDecoder

_MOST_WORDS = 2_000  # the heaviest of all that were learned
_FREQUENCY = 1  # any above 0: how probable a word is, the store says


class OwnWords:
    """Finds learned words by what was typed or swiped, as the lexicon's are found.

    Args:
        store: what was learned.
        language: whose lexicon's words are left to it.
        layout: of the keyboard.
    """

    def __init__(self, store: PersonalStore, language: Language, layout: Layout) -> None:
        self._store = store
        self._language = language
        self._layout = layout
        self._channels: dict[str, Channel] = {}  # that of the alphabet used last
        self._looked_at = (-1, -1)
        self._words: frozenset[str] = frozenset()  # that `_search` finds, or no lexicon can hold
        self._search: CandidateSearch | None = None
        self._lexicon: Lexicon | None = None  # of them; None where there are none
        self._decoder: SwipeDecoder | None = None

    def find(self, typed: str, taps: Sequence[Tap | None] = ()) -> list[Candidate]:
        """Return the learned words that may have been meant, most promising first.

        Args:
            typed: the letters of a finished word; case is ignored.
            taps: one for each letter, or none.
        """
        self._look()
        if self._search is None:
            return []
        return [each._replace(log_frequency=-math.inf) for each in self._search.find(typed, taps)]

    def swiped(self, path: Sequence[PathPoint]) -> list[SwipeCandidate]:
        """Return the learned words that a path may have meant, most promising first.

        Raises:
            PathError: no finger can have drawn it.
        """
        self._look()
        if self._lexicon is None:
            return []
        if self._decoder is None:
            from keyboard_lm.swipe.beam import BeamOptions
            from keyboard_lm.swipe.decoder import SwipeDecoder, SwipeOptions

            options = SwipeOptions(beam=BeamOptions(num_nodes=200, num_words=4))
            self._decoder = SwipeDecoder(self._lexicon, self._layout, options)
        return [each._replace(log_frequency=-math.inf) for each in self._decoder.find(path)]

    def _look(self) -> None:
        state = self._store.words_state()
        if state == self._looked_at:
            return
        self._looked_at = state
        words = frozenset(word for word in self._store.words(_MOST_WORDS) if not self._language.lexicon.known(word))
        if words != self._words:
            self._words = words
            self._arrange(_lexicon([Entry(word, _FREQUENCY) for word in words]))

    def _arrange(self, lexicon: Lexicon | None) -> None:
        self._lexicon, self._search, self._decoder = lexicon, None, None
        if lexicon is not None:
            channel = self._channels.get(lexicon.alphabet)
            if channel is None:  # most new words are of letters that were there before
                channel = Channel(self._layout, lexicon.alphabet, self._language.channel)
                self._channels = {lexicon.alphabet: channel}
            self._search = CandidateSearch(lexicon, channel, CandidateOptions(num_words=4, beam=200))


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
