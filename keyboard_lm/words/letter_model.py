"""How probable letters are as a word that nobody listed: a name, jargon, a word of another language."""

from __future__ import annotations

import math
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.text.case import fold
from keyboard_lm.words.lexicon import ROOT, Lexicon

_ADDED = 0.5  # to each count, so that no letters are impossible
_LOG_STRANGE = math.log(1e-3)  # of a letter that the lexicon has no word with


class LetterModel:
    """A trigram model of letters, counted over the words of a lexicon (each once, whatever its frequency).

    Args:
        lexicon: whose words are looked at, once, when the first word is asked about.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self.log_probability = lru_cache(maxsize=8192)(self._log_probability)

    def _log_probability(self, word: str) -> float:
        """Return the logarithm of the probability of a word's letters, in any case, and of its end."""
        logs = self.logs
        second = first = 0
        total = 0.0
        for number in [*self._lexicon.numbers(fold(word)).tolist(), -1]:
            if not number:
                total += _LOG_STRANGE
                second = first = 0
                continue
            total += float(logs[second, first, number])
            second, first = first, number
        return total

    @cached_property
    def logs(self) -> NDArray[np.float32]:
        """Logarithms of a letter (last axis, its last place a word's end) after two others (0: a word's beginning)."""
        lexicon = self._lexicon
        size = len(lexicon.alphabet) + 2
        words = self._words_below()
        parents = lexicon.parents.astype(np.intp)
        letters = lexicon.letters.astype(np.intp)
        # By the letter two before, the one before, and the letter itself.
        before = letters[parents]
        steps = (before[parents] * size + before) * size + letters
        counts = np.bincount(steps[1:], words[1:], size**3)
        ends = np.diff(lexicon.first_entry)
        counts += np.bincount((before * size + letters) * size + size - 1, ends, size**3)
        counts = counts.reshape(size, size, size)
        by_pair = counts.sum(axis=2, keepdims=True)
        by_letter = counts.sum(axis=0) + _ADDED  # (before, letter)
        shares = by_letter / by_letter.sum(axis=1, keepdims=True)
        smoothed = (counts + 5 * shares[None]) / (by_pair + 5)
        logs: NDArray[np.float32] = np.log(smoothed).astype(np.float32)
        return logs

    def _words_below(self) -> NDArray[np.float64]:
        lexicon = self._lexicon
        words = np.diff(lexicon.first_entry).astype(np.float64)
        levels = [ROOT, 1]
        while levels[-1] < len(words):
            levels.append(int(lexicon.first_child[levels[-1]]))
        for first, end in zip(reversed(levels[1:-1]), reversed(levels[2:]), strict=True):
            base = int(lexicon.parents[first])
            below = np.bincount(lexicon.parents[first:end] - base, words[first:end])
            words[base : base + len(below)] += below
        return words
