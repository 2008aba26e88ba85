"""What may come after the word under the cursor: next words behind a finished one, and ghost text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from keyboard_lm.decoding.context import Boundary
from keyboard_lm.decoding.inline import InlineOptions, continuation
from keyboard_lm.decoding.pieces import PieceTable
from keyboard_lm.decoding.search import SearchResult
from keyboard_lm.decoding.word_boundary import Path
from keyboard_lm.decoding.word_scores import WordScorer
from keyboard_lm.keyboard.bar import Ghost, Slot
from keyboard_lm.keyboard.offers import Offer
from keyboard_lm.keyboard.place import Place
from keyboard_lm.keyboard.ranking import log
from keyboard_lm.text.case import fold


class Ahead:
    """Looks further than the word under the cursor.

    Args:
        table: of the tokenizer's pieces.
        scorer: of the network's words.
        is_offensive: of one word; none is in any ghost text.
        max_nodes: of one call of the network.
        num_words: that may follow a finished word.
        finished_ratio: when a word is finished; see `SuggesterOptions`.
        inline: when to show ghost text; None for never.
    """

    def __init__(
        self,
        table: PieceTable,
        scorer: WordScorer,
        is_offensive: Callable[[str], bool],
        max_nodes: int,
        num_words: int,
        finished_ratio: float,
        inline: InlineOptions | None,
    ) -> None:
        self._table = table
        self._scorer = scorer
        self._is_offensive = is_offensive
        self._max_nodes = max_nodes
        self._num_words = num_words
        self._finished_ratio = finished_ratio
        self._ghosts = inline

    def is_finished(self, result: SearchResult) -> bool:
        """Return whether the letters typed are so much more likely a whole word than the beginning of a longer one."""
        finished = _finished(result)
        return finished > 0 and finished >= self._finished_ratio * (1 - finished)

    def behind(self, place: Place, result: SearchResult) -> list[tuple[str, float]]:
        """Return next words behind the word under the cursor, and how probable each is to follow it.

        Args:
            place: of the word.
            result: of the search for longer ones.
        """
        if place.boundary is None:
            return []
        finished = _finished(result)
        found = continuation(self._table, place.boundary, self._before(place), self._max_nodes, self._num_words)
        return [(text, finished * share) for text, share in found or ()]

    @staticmethod
    def following(behind: Sequence[tuple[str, float]], total: float) -> Iterator[Offer]:
        """Yield what `behind` returned; its probabilities become shares of `total`."""
        for text, probability in behind:
            yield Offer(text, text, "next_word", "continuation", log(probability * total))

    def ghost_between(self, place: Place, first: Offer) -> Ghost | None:
        """Return the ghost text between two words, which begins with the best offer."""
        if place.boundary is None:
            return None
        return self._ghost(place.boundary, first.word, first.text, math.exp(first.log_joint))

    def ghost_behind(self, place: Place, behind: Sequence[tuple[str, float]]) -> Ghost | None:
        """Return the ghost text behind a word that is likely finished: the best of what `behind` returned."""
        for text, probability in behind:
            if place.boundary is not None and not self._is_offensive(text):
                return self._ghost(place.boundary, text, f" {text}", probability, self._before(place))
        return None

    def ghost_inside(self, place: Place, result: SearchResult, first: Slot) -> Ghost | None:
        """Return the ghost text inside a word: the rest of its best completion, and what may come after that."""
        word = place.word
        if place.boundary is None or first.kind != "completion" or not first.text.startswith(word):
            return None
        key = fold(first.text)
        best = next((each for each in result.words if fold(each.text) == key), None)
        if best is None or not result.prefix_probability:
            return None
        probability = min(1.0, best.probability / result.prefix_probability)
        return self._ghost(place.boundary, best.text, first.text[len(word) :], probability)

    def _before(self, place: Place) -> Path:
        return self._scorer.path((fold(place.word) if place.typed.starts_sentence else place.word,))

    def _ghost(
        self, boundary: Boundary, written: str, text: str, probability: float, before: Path = ()
    ) -> Ghost | None:
        """Return a first word and as many after it as are likely enough together; None where it is not.

        Args:
            boundary: where the word under the cursor begins.
            written: the first word as the model has it.
            text: as it would stand behind the cursor.
            probability: of it.
            before: pieces between the boundary and the first word.
        """
        options = self._ghosts
        if options is None or probability < options.threshold:
            return None
        path = before + self._scorer.path((written,))
        num_words = 1
        while num_words < options.max_words:
            least = options.threshold / probability
            found = continuation(self._table, boundary, path, self._max_nodes, least=0.99 * least)
            if not found or probability * found[0][1] < options.threshold or self._is_offensive(found[0][0]):
                break
            word, share = found[0]
            text, probability, path = f"{text} {word}", probability * share, path + self._scorer.path((word,))
            num_words += 1
        return Ghost(text, probability) if len(text) >= options.min_chars else None


def _finished(result: SearchResult) -> float:
    total = result.prefix_probability
    return min(1.0, result.typed_probability / total) if total else 0.0
