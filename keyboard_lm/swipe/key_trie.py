"""A lexicon's words by the keys that a finger passes: a trie without apostrophes, accents and doubled letters."""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.touch.layout import Layout
from keyboard_lm.words.lexicon import MAX_FREQUENCY, ROOT, Lexicon

Numbers = NDArray[np.int32]
_MAX_KEYS = 32  # of a word; longer ones are typed
_NO_KEY = 255  # of a letter that cannot be swiped, such as a digit
_FREE = frozenset("'-.")  # are in the word and not on the way


class KeyTrie:
    """Words by keys, breadth first, the children of a node side by side.

    Words whose keys are the same, once a key that follows itself is one, end at the same node: ``to`` and ``too``,
    ``well`` and ``we'll``.

    Args:
        lexicon: the words; those that are never offered are left out.
        layout: of the keys; words with a letter that has none are left out.
        num_words: as many of the most frequent; None for all.

    Attributes:
        keys: characters of the keys, numbered from 0.
        key: on the edge to each node, (N,); 0 at the root.
        first_child: the children of node n are ``first_child[n]`` to ``first_child[n + 1]``, (N + 1,).
        first_word: its words, as places in `entries`, (N + 1,).
        entries: numbers of the lexicon's entries, (E,).
        parents: of each node, (N,).
        best_frequency: the highest of any word at or below a node, (N,).
        best_word: the first of the words that have it, as a place in `entries`, (N,).
        keys_to_best: how many keys it is further on than the node, (N,).
    """

    def __init__(self, lexicon: Lexicon, layout: Layout, num_words: int | None = None) -> None:
        self.lexicon = lexicon
        self.keys = tuple(key for row in layout.rows for key in row.keys)
        entries = np.flatnonzero((lexicon.flags == 0) & (lexicon.frequencies > 0))
        if num_words is not None:
            order = np.argsort(-lexicon.frequencies[entries].astype(np.int64), kind="stable")
            entries = np.sort(entries[order[:num_words]])
        self._number_of_letter = self._numbers()
        rows = self._rows(entries)
        is_whole = (rows[:, 0] > 0) & ~(rows == _NO_KEY).any(axis=1)
        entries, rows = entries[is_whole], rows[is_whole]
        order = np.lexsort(rows.T[::-1])
        self.entries: Numbers = entries[order].astype(np.int32)
        self._arrange(rows[order])
        self._find_best()

    def __len__(self) -> int:
        return len(self.entries)

    def doubled(self, word: int) -> tuple[int, ...]:
        """Return the keys that a word, a place in `entries`, has twice in a row."""
        keys = self._number_of_letter[self._letters(int(self.lexicon.nodes[self.entries[word]]))]
        keys = keys[keys > 0]
        return tuple((keys[1:][keys[1:] == keys[:-1]] - 1).tolist())

    def _letters(self, node: int) -> NDArray[np.uint8]:
        letters = []
        while node != ROOT:
            letters.append(self.lexicon.letters[node])
            node = int(self.lexicon.parents[node])
        return np.array(letters[::-1], np.uint8)

    def word_keys(self, node: int) -> list[int]:
        """Return the keys on the way to a node."""
        found = []
        while node != ROOT:
            found.append(int(self.key[node]))
            node = int(self.parents[node])
        return found[::-1]

    def _numbers(self) -> NDArray[np.uint8]:
        # Of each letter of the lexicon: 0 where it is free, its key's number plus 1, or none.
        number_of = {key: number for number, key in enumerate(self.keys, 1)}
        numbers = np.zeros(len(self.lexicon.alphabet) + 1, np.uint8)
        for place, letter in enumerate(self.lexicon.alphabet, 1):
            base = unicodedata.normalize("NFD", letter)[0]
            numbers[place] = 0 if letter in _FREE else number_of.get(letter) or number_of.get(base, _NO_KEY)
        return numbers

    def _rows(self, entries: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return the keys of each entry, from the first on, 0 behind the last, (E, 32); too long ones without any."""
        lexicon, numbers = self.lexicon, self._number_of_letter
        nodes = lexicon.nodes[entries]
        backward = []  # from the last letter to the first
        while nodes.any():
            backward.append(numbers[lexicon.letters[nodes]] * (nodes != ROOT))
            nodes = lexicon.parents[nodes]
        rows = np.zeros((len(entries), _MAX_KEYS + 1), np.uint8)
        length = np.zeros(len(entries), np.int64)
        last = np.zeros(len(entries), np.uint8)
        for keys in reversed(backward):
            here = np.flatnonzero((keys > 0) & (keys != last))
            rows[here, np.minimum(length[here], _MAX_KEYS)] = keys[here]
            last[here] = keys[here]
            length[here] += 1
        rows[length > _MAX_KEYS] = 0
        return rows[:, :_MAX_KEYS]

    def _arrange(self, rows: NDArray[np.uint8]) -> None:
        # Sorted rows: a node begins wherever the keys up to a depth are others than in the row before.
        num = len(rows)
        differs = np.ones((num, _MAX_KEYS), np.bool_)
        if num:
            np.logical_or.accumulate(rows[1:] != rows[:-1], axis=1, out=differs[1:])
        length = (rows > 0).sum(axis=1)
        keys, parents, firsts = [np.zeros(1, np.int32)], [np.zeros(1, np.int32)], 1
        node_of = np.zeros(num, np.int32)  # of each row at the depth so far
        end = np.zeros(num, np.int32)
        for depth in range(_MAX_KEYS):
            inside = length > depth
            begins = differs[:, depth] & inside
            if not begins.any():
                break
            keys.append(rows[begins, depth].astype(np.int32) - 1)
            parents.append(node_of[begins])
            numbers = np.cumsum(begins, dtype=np.int32) - 1 + firsts
            node_of = np.where(inside, numbers, node_of).astype(np.int32)
            end = np.where(length == depth + 1, node_of, end).astype(np.int32)
            firsts += int(begins.sum())
        self.key: Numbers = np.concatenate(keys)
        self.parents: Numbers = np.concatenate(parents)
        counts = np.bincount(self.parents[1:], minlength=firsts)
        self.first_child: Numbers = np.concatenate(([1], 1 + np.cumsum(counts))).astype(np.int32)
        order = np.argsort(end, kind="stable")
        self.entries = self.entries[order]
        self.first_word: Numbers = np.concatenate(([0], np.cumsum(np.bincount(end, minlength=firsts)))).astype(np.int32)

    def _find_best(self) -> None:
        num_words = len(self.entries)
        ends = np.repeat(np.arange(len(self.key)), np.diff(self.first_word))
        # Frequency first; of equal ones the first word.
        worth = self.lexicon.frequencies[self.entries].astype(np.int64) * (num_words + 1) + np.arange(num_words, 0, -1)
        best = np.zeros(len(self.key), np.int64)
        np.maximum.at(best, ends, worth)
        depth_firsts = [0, 1]
        while depth_firsts[-1] < len(best):
            depth_firsts.append(int(self.first_child[depth_firsts[-1]]))
        for first, end in zip(reversed(depth_firsts[1:-1]), reversed(depth_firsts[2:]), strict=True):
            np.maximum.at(best, self.parents[first:end], best[first:end])
        depths = np.repeat(np.arange(len(depth_firsts) - 1), np.diff(depth_firsts))
        self.best_frequency: NDArray[np.uint8] = (best // (num_words + 1)).astype(np.uint8)
        self.best_word: Numbers = (num_words - best % (num_words + 1)).astype(np.int32)
        self.keys_to_best: Numbers = (depths[ends[self.best_word]] - depths if num_words else depths).astype(np.int32)


def log_frequencies(frequencies: NDArray[np.uint8], nats_per_step: float) -> NDArray[np.float32]:
    """Return the logarithms of frequencies, 0 for the highest there can be."""
    return ((frequencies.astype(np.float32) - MAX_FREQUENCY) * nats_per_step).astype(np.float32)
