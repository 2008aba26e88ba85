"""Exact probabilities of given words after a context.

A word of one piece is read from the distribution at the boundary; the pieces of longer ones are scored as one tree, in
one call of the network. Other spellings of a word in pieces than the tokenizer's own are left out; their share is
small (Cao and Rimell 2021, "You should evaluate your language model on marginal likelihood over tokenisations").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.context import Boundary, Path
from keyboard_lm.tokenizer import Tokenizer

Tokens = tuple[str, ...]  # form tokens, one after another: a word, or two
Probabilities = NDArray[np.float64]
_MAX_REMEMBERED = 20_000


class WordScorer:
    """Scores words by a network's boundary distributions.

    Args:
        tokenizer: the one the network was trained with.
        max_nodes: most tree nodes of one call.
    """

    def __init__(self, tokenizer: Tokenizer, max_nodes: int = 16) -> None:
        self._tokenizer = tokenizer
        self._max_nodes = max_nodes
        self._paths: dict[Tokens, Path] = {}

    def look(self, boundary: Boundary, words: Sequence[Tokens]) -> tuple[Probabilities, NDArray[np.bool_]]:
        """Return what each word's probability cannot exceed by what is known without a call, (W,).

        The second array, (W,), says where that is the probability itself: where all pieces but the last have been
        scored, as always for words of one piece.
        """
        known = self.known(boundary, words)
        return np.array([bound for bound, _ in known], np.float64), np.array([exact for _, exact in known], np.bool_)

    def known(self, boundary: Boundary, words: Sequence[Tokens]) -> list[tuple[float, bool]]:
        """Return the same as `look`, word by word."""
        at_once = boundary.probabilities().item
        paths = map(self.path, words)
        return [(at_once(path[0]), True) if len(path) == 1 else self._known(boundary, path) for path in paths]

    def probabilities(self, boundary: Boundary, words: Sequence[Tokens], max_calls: int = 1) -> Probabilities:
        """Return the probability of each word after the boundary's context, (W,).

        Args:
            boundary: the context.
            words: the ones that matter most first.
            max_calls: of the network; words that would need more, or calls that are not allowed, have probability 0.

        Raises:
            ContextLengthError: `max_nodes` does not fit behind the context.
        """
        paths = [self.path(word) for word in words]
        for _ in range(max_calls):
            batch = self._batch(boundary, paths)
            if not batch or not boundary.may_expand(len({path[: n + 1] for path in batch for n in range(len(path))})):
                break
            boundary.expand(batch)
        bounds, is_exact = self.look(boundary, words)
        return np.where(is_exact, bounds, 0.0)

    def path(self, word: Tokens) -> Path:
        """Return the pieces of form tokens."""
        path = self._paths.get(word)
        if path is None:
            if len(self._paths) >= _MAX_REMEMBERED:
                self._paths.clear()
            path = self._paths[word] = tuple(self._tokenizer.encode_tokens(word))
        return path

    def _known(self, boundary: Boundary, path: Path) -> tuple[float, bool]:
        # The probability of as much of a path as has been scored, and whether that is all of it.
        probability = 1.0
        for depth, piece in enumerate(path):
            if not boundary.is_known(path[:depth]):
                return probability, False
            probability *= float(boundary.probabilities(path[:depth])[piece])
        return probability, bool(path)

    def _batch(self, boundary: Boundary, paths: Sequence[Path]) -> list[Path]:
        # Beginnings to be scored next: as many words' as one call has room for.
        batch: list[Path] = []
        nodes: set[Path] = set()
        for path in paths:
            stem = path[:-1]
            if not stem or boundary.is_known(stem):
                continue
            new = {stem[:depth] for depth in range(1, len(stem) + 1)} - nodes
            if len(nodes) + len(new) <= self._max_nodes:
                nodes |= new
                batch.append(stem)
        return batch
