"""Exact probabilities of given words after a context.

A word of one piece is read from the distribution at the boundary; the pieces of longer ones are scored as one tree, in
one call of the network. Other spellings of a word in pieces than the tokenizer's own are left out; their share is
small (Cao and Rimell 2021, "You should evaluate your language model on marginal likelihood over tokenisations").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from keyboard_lm.decoding.context import Boundary
from keyboard_lm.decoding.word_boundary import Path, word_boundary
from keyboard_lm.network.tokenizer import Tokenizer

Tokens = tuple[str, ...]  # form tokens, one after another: a word, or two
_MAX_REMEMBERED = 20_000


class Score(NamedTuple):
    """What is known of a word's probability after a context.

    Attributes:
        probability: of the word; as long as that is not known, of its first piece, which it cannot exceed.
        is_exact: whether it is known.
    """

    probability: float
    is_exact: bool


_UNKNOWN = Score(0.0, False)


class WordScorer:
    """Scores words by a network's boundary distributions.

    Args:
        tokenizer: the one the network was trained with.
        max_nodes: most tree nodes of one call.
    """

    def __init__(self, tokenizer: Tokenizer, max_nodes: int = 16) -> None:
        self._tokenizer = tokenizer
        self._boundary = word_boundary(tokenizer)
        self._max_nodes = max_nodes
        self._paths: dict[Tokens, Path] = {}

    def look(self, boundary: Boundary, words: Sequence[Tokens]) -> list[Score]:
        """Return what the distribution at the boundary says of each word.

        What has been asked about other pieces is not looked at: the answer depends on context and words alone.
        """
        at_once = boundary.probabilities().item
        paths = map(self.path, words)
        return [Score(at_once(path[0]), len(path) == 1) if path else _UNKNOWN for path in paths]

    def ask(self, boundary: Boundary, words: Sequence[Tokens], max_calls: int = 1) -> list[Score]:
        """Return the same after calls of the network about the pieces of longer words.

        Calls that have been made before are not repeated but counted, so that the answer does not depend on them.

        Args:
            boundary: the context.
            words: the ones that matter most first.
            max_calls: of the network; for words that would need more, or calls that are not allowed, the score is
                that of `look`.

        Raises:
            ContextLengthError: `max_nodes` does not fit behind the context.
        """
        scores = self.look(boundary, words)
        if not max_calls:
            return scores
        waiting = [(i, path) for i, word in enumerate(words) if len(path := self.path(word)) > 1]
        for _ in range(max_calls):
            nodes: set[Path] = set()
            batch: list[tuple[int, Path]] = []
            rest: list[tuple[int, Path]] = []
            for i, path in waiting:
                new = {path[:depth] for depth in range(1, len(path))} - nodes
                fits = len(nodes) + len(new) <= self._max_nodes
                (batch if fits else rest).append((i, path))
                nodes |= new if fits else set()
            unknown = [path[:-1] for _, path in batch if not boundary.is_known(path[:-1])]
            if unknown and not boundary.expand(unknown):
                break
            for i, path in batch:
                scores[i] = Score(_probability(boundary, path), True)
            waiting = rest
        return scores

    def path(self, word: Tokens) -> Path:
        """Return the pieces of form tokens."""
        path = self._paths.get(word)
        if path is None:
            if len(self._paths) >= _MAX_REMEMBERED:
                self._paths.clear()
            path = self._paths[word] = self._boundary.path(self._tokenizer, word)
        return path


def _probability(boundary: Boundary, path: Path) -> float:
    probability = 1.0
    for depth, piece in enumerate(path):
        probability *= float(boundary.probabilities(path[:depth])[piece])
    return probability
