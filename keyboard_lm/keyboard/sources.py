"""Sources of words that nobody mistyped: the network's, the writer's own, the lexicon's, emoji."""

from __future__ import annotations

import math
from collections.abc import Iterator

from keyboard_lm.decoding.search import SearchResult, Word
from keyboard_lm.decoding.word_scores import WordScorer
from keyboard_lm.keyboard.bar import Kind
from keyboard_lm.keyboard.language import Language
from keyboard_lm.keyboard.offers import Offer
from keyboard_lm.keyboard.place import Place, as_typed
from keyboard_lm.keyboard.ranking import log
from keyboard_lm.text.case import fold_word
from keyboard_lm.words.frequent_words import frequent_words
from keyboard_lm.words.known_words import KnownWords
from keyboard_lm.words.lexicon import MAX_FREQUENCY


class WordSources:
    """Yields offers for a place: next words between words, completions inside one.

    Args:
        scorer: of the network's words.
        language: what is typed.
        num_words: most words of one source.
        frequency_mix: how probable the most frequent word is, where nothing is known but frequencies.
        nats_per_step: what one step of the lexicon's frequency scale is worth.
        words: what is a word, and with which capitals.
    """

    def __init__(
        self,
        scorer: WordScorer,
        language: Language,
        num_words: int,
        frequency_mix: float,
        nats_per_step: float,
        words: KnownWords,
    ) -> None:
        self._scorer = scorer
        self._words = words
        self._language = language
        self._num_words = num_words
        self._log_mix = log(frequency_mix)
        self._nats_per_step = nats_per_step

    def network(self, place: Place, result: SearchResult | None) -> Iterator[Offer]:
        """Yield the words that a search has found, but for the one that was typed."""
        word, kind = place.word, _kind(place)
        folded = fold_word(word)
        for each in result.words if result is not None else ():
            written = self._words.cased(each.text)
            text = as_typed(written, word) if word else place.as_next(written)
            if not word or fold_word(text) != folded:
                yield Offer(text, each.text, kind, "network", log(each.probability), 0.0, word)

    def own(self, place: Place, found: tuple[Word, ...]) -> Iterator[Offer]:
        """Yield the writer's own words, but for those found by the network and the one that was typed.

        Where the network knows one of them as one piece, that is its probability there; else the writer's alone.
        """
        if place.view is None:
            return
        word, kind = place.word, _kind(place)
        folded, keys = fold_word(word), {fold_word(each.text) for each in found}
        own = [text for text in place.view.candidates(place.prefix, self._num_words) if fold_word(text) not in keys]
        known = [-math.inf] * len(own)
        if place.boundary is not None and own:
            scores = self._scorer.look(place.boundary, [(text,) for text in own])
            known = [log(score.probability) if score.is_exact else -math.inf for score in scores]
        for written, log_prior in zip(own, known, strict=True):
            text = as_typed(written, word) if word else place.as_next(written)
            if not word or fold_word(text) != folded:
                yield Offer(text, written, kind, "own words", log_prior, 0.0, word)

    def frequent(self, place: Place) -> Iterator[Offer]:
        """Yield the most frequent words of the lexicon: for want of better ones."""
        word, kind = place.word, _kind(place)
        folded = fold_word(word)
        for written, frequency in frequent_words(self._language.lexicon, word, self._num_words):
            if not word or fold_word(written) != folded:
                text = as_typed(written, word) if word else place.as_next(written)
                log_prior = self._log_mix + (frequency - MAX_FREQUENCY) * self._nats_per_step
                yield Offer(text, written, kind, "lexicon", log_prior, 0.0, word)

    def emoji(self, place: Place) -> Iterator[Offer]:
        """Yield the emoji that stand for the word under the cursor; they are on no scale with words."""
        for emoji in self._language.emoji.find(place.word):
            yield Offer(emoji, place.word, "emoji", "emoji", -math.inf, 0.0, place.word)


def _kind(place: Place) -> Kind:
    return "completion" if place.word else "next_word"
