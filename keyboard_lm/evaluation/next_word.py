"""Next-word accuracy: how often the word that was written is among the first few the model would have offered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from keyboard_lm.backends.protocol import Backend
from keyboard_lm.context import ContextCache, ContextWindow
from keyboard_lm.evaluation.intervals import Interval, bootstrap
from keyboard_lm.pieces import PieceTable
from keyboard_lm.search import SearchOptions, find_words
from keyboard_lm.text import normalise, split_marks
from keyboard_lm.tokenizer import Tokenizer

RANKS = (1, 3, 5)
_TARGET = re.compile(r"[a-z0-9]+(?:'[a-z]+)*")  # a word, in case-folded text


@dataclass(frozen=True)
class LineHits:
    """The targets of one line and how many were among the first 1, 3 and 5 words offered.

    Attributes:
        num_words: targets, those included that no text form can hit.
        folded: hits at each of `RANKS`, case ignored.
        cased: hits at each of `RANKS` with the very capitals of the text form (a sentence's first capital aside).
    """

    num_words: int
    folded: tuple[int, ...]
    cased: tuple[int, ...]


@dataclass(frozen=True)
class NextWordAccuracy:
    """Accuracy over many lines.

    Attributes:
        num_lines: lines with at least one target.
        num_words: targets.
        folded: accuracy at each of `RANKS`, case ignored, with its interval.
        cased: the same with case.
    """

    num_lines: int
    num_words: int
    folded: tuple[Interval, ...]
    cased: tuple[Interval, ...]


class NextWordEvaluator:
    """Predicts every word of a line from what the line has before it, as a keyboard would between words.

    A target is a match of ``[a-z0-9]+('[a-z]+)*`` in the case-folded text, so punctuation is context and never a
    target. A target that the text form keeps inside a larger token (``3`` in ``3.5``, ``na`` in ``naïve``) counts as a
    miss, and so does a word the search does not reach.

    Args:
        backend: the network; nobody else may use its cache.
        tokenizer: the one it was trained with.
        search: how far to look (its `num_words` is set here).
    """

    def __init__(self, backend: Backend, tokenizer: Tokenizer, search: SearchOptions | None = None) -> None:
        self._tokenizer = tokenizer
        self._table = PieceTable(tokenizer)
        self._cache = ContextCache(backend)
        self._search = replace(search or SearchOptions(), num_words=max(RANKS))
        room = min(backend.capacity, backend.config.max_context_length) - self._search.max_nodes
        self._window = ContextWindow(tokenizer.bos_id, self._table.ends_token, room)

    def line(self, text: str) -> LineHits:
        """Return the hits of one line; the context starts where the line does."""
        num_words = 0
        ranks_folded: list[int] = []
        ranks_cased: list[int] = []
        ids: list[int] = []
        for marked in self._tokenizer.form.encode_tokens(normalise(text).replace("\n", " ")):
            _, token, _ = split_marks(marked)
            folded = token.casefold()
            targets = _TARGET.findall(folded)
            num_words += len(targets)
            if targets == [folded]:
                boundary = self._cache.at(self._window.fit(ids))
                offered = [word.text for word in find_words(self._table, boundary, "", self._search).words]
                ranks_folded.append(_rank(folded, [word.casefold() for word in offered]))
                ranks_cased.append(_rank(token, offered))
            ids += self._tokenizer.encode_tokens([marked])
        return LineHits(num_words, _hits(ranks_folded), _hits(ranks_cased))


def next_word_accuracy(lines: Iterable[LineHits], rng: np.random.Generator) -> NextWordAccuracy | None:
    """Sum up lines; None where there is no target at all."""
    counted = [line for line in lines if line.num_words]
    if not counted:
        return None
    words = [line.num_words for line in counted]
    columns = range(len(RANKS))
    return NextWordAccuracy(
        len(counted),
        sum(words),
        tuple(bootstrap([line.folded[i] for line in counted], words, rng) for i in columns),
        tuple(bootstrap([line.cased[i] for line in counted], words, rng) for i in columns),
    )


def _rank(word: str, offered: list[str]) -> int:
    return offered.index(word) + 1 if word in offered else max(RANKS) + 1


def _hits(ranks: list[int]) -> tuple[int, ...]:
    return tuple(sum(rank <= limit for rank in ranks) for limit in RANKS)
