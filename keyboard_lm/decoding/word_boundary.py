"""Where a word ends in the pieces of a tokenizer: the one place that knows on which side of a word its space is.

*Suffix-space* pieces (ours) hold the space behind a word, so a word's end is visible in its last piece. *Prefix-space*
pieces (Llama's, which the original OpenELM uses) hold the one before it: that a word has ended is known only from the
piece that follows. There the probability of a word is that of its pieces times that of any *boundary piece* after
them, over that of any boundary piece at the context's end, since the word before has ended too (Pimentel & Meister
2024, "How to compute the probability of a word"; Oh & Schuler 2024, "Leading whitespaces of language models'
subword vocabulary pose a confound for calculating word probabilities").

Both look the same to whoever searches for words: prefix-space distributions get one more place, the *end of the word*,
which has the probability of all boundary pieces together, and those have none but where a word may begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.backends.protocol import Logits
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import META_SPACE, is_word_part

Probabilities = NDArray[np.float32]
Path = tuple[int, ...]  # piece ids after the context; the end of a word may be among them

_NOT_IN_WORDS = frozenset(".,:")  # such a piece ends a word, although a number may go on behind it


def softmax(logits: Logits) -> Probabilities:
    """Return the probabilities (V,) of logits (V,)."""
    # The functions themselves: the methods go to them through another layer of Python.
    probabilities: Probabilities = logits - np.maximum.reduce(logits)
    np.exp(probabilities, out=probabilities)
    probabilities /= np.add.reduce(probabilities)
    return probabilities


class WordBoundary(Protocol):
    """How a tokenizer marks the boundary between words.

    Attributes:
        end_id: stands for the end of a word in a path and in distributions; None where pieces show it themselves.
        begins_token: whether a form token begins with the piece, (V,); None where pieces show ends instead.
    """

    end_id: int | None
    begins_token: NDArray[np.bool_] | None

    def first(self, logits: Logits, last_id: int) -> Probabilities:
        """Return the distribution where a word may begin, after a piece `last_id`."""
        ...

    def inside(self, logits: Logits) -> Probabilities:
        """Return the distribution after a piece of a word."""
        ...

    def path(self, tokenizer: Tokenizer, words: Sequence[str]) -> Path:
        """Return the path that writes whole form tokens."""
        ...


class SuffixSpace:
    """Pieces that hold the space behind a word."""

    end_id: int | None = None
    begins_token: NDArray[np.bool_] | None = None

    def first(self, logits: Logits, last_id: int) -> Probabilities:
        return softmax(logits)

    def inside(self, logits: Logits) -> Probabilities:
        return softmax(logits)

    def path(self, tokenizer: Tokenizer, words: Sequence[str]) -> Path:
        return tuple(tokenizer.encode_tokens(words))


SUFFIX_SPACE = SuffixSpace()


class PrefixSpace:
    """Pieces that hold the space before a word.

    After a letter, the boundary pieces are those that begin with a space, those that begin with punctuation, and the
    end of the text; an apostrophe and bytes of letters go on with the word. After punctuation a word may begin without
    a space (``(so``), so there all pieces of words may.

    Args:
        tokenizer: whose pieces they are.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.end_id: int | None = tokenizer.vocab_size
        pieces = tokenizer.pieces
        goes_on = [_goes_on(piece) for piece in pieces]
        for piece_id in tokenizer.byte_ids:
            goes_on[piece_id] = int(pieces[piece_id][3:5], 16) >= 0x80
        nothing = list(tokenizer.control_ids)
        self._goes_on: NDArray[np.bool_] = np.array(goes_on)
        self._goes_on[nothing] = False
        self._ends = ~self._goes_on
        self._ends[nothing] = False
        self._ends[tokenizer.eos_id] = True
        self.begins_token: NDArray[np.bool_] | None = self._ends.copy()
        is_letter = [piece[-1:].isalnum() or piece[-1:] == META_SPACE for piece in pieces]
        self._is_mark: NDArray[np.bool_] = ~np.array(is_letter)
        self._is_mark[[*nothing, *tokenizer.byte_ids]] = False

    def first(self, logits: Logits, last_id: int) -> Probabilities:
        given = softmax(logits)
        if not self._is_mark[last_id]:
            given[~self._ends] = 0
        total = given.sum()
        return _with_end(given / total if total > 0 else given, 0.0)

    def inside(self, logits: Logits) -> Probabilities:
        given = softmax(logits)
        end = float(given[self._ends].sum())
        given[self._ends] = 0
        return _with_end(given, end)

    def path(self, tokenizer: Tokenizer, words: Sequence[str]) -> Path:
        end = () if self.end_id is None else (self.end_id,)
        return tuple(piece_id for word in words for piece_id in (*tokenizer.encode_word(word), *end))


def word_boundary(tokenizer: Tokenizer) -> WordBoundary:
    """Return the convention of a tokenizer's pieces."""
    return PrefixSpace(tokenizer) if tokenizer.is_prefix_space else SUFFIX_SPACE


def _goes_on(piece: str) -> bool:
    first = piece[:1]
    return first not in _NOT_IN_WORDS and first != META_SPACE and is_word_part(first)


def _with_end(probabilities: Probabilities, end: float) -> Probabilities:
    return np.append(probabilities, np.float32(end))  # (V + 1,)
