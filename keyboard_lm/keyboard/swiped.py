"""The source of words that a path may have meant."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from keyboard_lm.decoding.word_scores import Tokens, WordScorer
from keyboard_lm.keyboard.offers import Offer
from keyboard_lm.keyboard.place import Place
from keyboard_lm.keyboard.ranking import log
from keyboard_lm.text.form import TextForm, is_word
from keyboard_lm.touch.layout import Layout
from keyboard_lm.touch.path import PathPoint
from keyboard_lm.words.lexicon import Lexicon

if TYPE_CHECKING:  # loaded at the first path
    from keyboard_lm.swipe.decoder import SwipeCandidate, SwipeFinder, SwipeOptions

Own = Callable[[Sequence[PathPoint]], "list[SwipeCandidate]"]


class LateDecoder:
    """A decoder of paths that is made, and whose code is loaded, at the first path: most keyboards see none.

    Args:
        lexicon: the words.
        layout: of the keys.
        options: how paths are read; None for the defaults.
    """

    def __init__(self, lexicon: Lexicon, layout: Layout, options: SwipeOptions | None = None) -> None:
        self._made_of = lexicon, layout, options
        self._decoder: SwipeFinder | None = None

    def find(self, points: Sequence[PathPoint]) -> list[SwipeCandidate]:
        """Return the words that a path may have meant, most promising first.

        Raises:
            PathError: no finger can have drawn it.
        """
        if self._decoder is None:
            from keyboard_lm.swipe.decoder import SwipeDecoder

            self._decoder = SwipeDecoder(*self._made_of)
        return self._decoder.find(points)


class SwipeSource:
    """Weighs what a decoder finds by the context: P(word | context) x P(path | word).

    Args:
        decoder: finds words of the lexicon.
        own: finds the writer's, as far as no lexicon knows them; None for none.
        scorer: of the network's words.
        form: the text form of what is typed.
        frequency_mix: how much the lexicon's frequency counts against the network in a word's probability.
    """

    def __init__(
        self, decoder: SwipeFinder, own: Own | None, scorer: WordScorer, form: TextForm, frequency_mix: float
    ) -> None:
        self._decoder = decoder
        self._own = own
        self._scorer = scorer
        self._form = form
        self._mix = frequency_mix

    def words(self, place: Place) -> Iterator[Offer]:
        """Yield words for the path of a request, which stands between two words.

        Raises:
            PathError: no finger can have drawn it.
        """
        path = place.request.path
        found = self._decoder.find(path)
        if self._own is not None:
            found += self._own(path)
        for (_, word, log_likelihood, log_frequency), probability in zip(
            found, self._probabilities(place, found), strict=True
        ):
            if place.view is not None:
                probability = place.view.mix(probability, word)
            mixed = (1 - self._mix) * probability + self._mix * math.exp(log_frequency)
            yield Offer(place.as_next(word), word, "swiped", "swipe", log(mixed), log_likelihood)

    def _probabilities(self, place: Place, found: Sequence[SwipeCandidate]) -> list[float]:
        # By the network, in one call about the pieces of those that could win most; 0 where it was not asked.
        if place.boundary is None:
            return [0.0] * len(found)
        tokens = [self._tokens(candidate.text, place) for candidate in found]
        at_most = self._scorer.look(place.boundary, tokens)
        worth = [log(score.probability) + each.log_likelihood for score, each in zip(at_most, found, strict=True)]
        order = sorted(range(len(found)), key=lambda i: (-worth[i], i))
        probabilities = [0.0] * len(found)
        for i, score in zip(order, self._scorer.ask(place.boundary, [tokens[i] for i in order]), strict=True):
            probabilities[i] = score.probability if score.is_exact else 0.0
        return probabilities

    def _tokens(self, word: str, place: Place) -> Tokens:
        # What the word is to the network where it comes next; nothing if it is not one word there.
        if place.typed.starts_sentence:
            tokens = self._form.encode_tokens(word)
            return (tokens[0],) if len(tokens) == 1 and is_word(tokens[0]) else ()
        return (word,) if is_word(word) else ()
