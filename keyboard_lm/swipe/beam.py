"""The words that a path may have meant, by elastic matching along a trie, one letter after the other.

A hypothesis is a node and, for every point of the path, the least cost at which the node's last letter was meant
there. The next letter is meant at the same point or a later one, and the path between the two pays for leaving the
straight way from key to key; since that is a difference of two sums, one running minimum finds the best point before
each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.decoding.best import best_places
from keyboard_lm.swipe.evidence import PathEvidence, pair
from keyboard_lm.swipe.key_trie import KeyTrie, log_frequencies
from keyboard_lm.touch.path import Floats
from keyboard_lm.words.lexicon import ROOT

Numbers = NDArray[np.intp]
_SLACK = 4  # points before a hypothesis' best one that its next letter may be meant at all the same
_TIE = np.float32(1 / 1024)  # nats: what is nearer together is equally good, for sums of singles must not choose
_CHILDREN = 4  # times as many as hypotheses are looked at


@dataclass(frozen=True)
class BeamOptions:
    """How far to look.

    Attributes:
        num_nodes: most hypotheses after each letter.
        num_words: most words that are returned.
        margin: hypotheses are left out that cost so many nats more than the best word so far.
        nats_per_step: what one step of the lexicon's frequency scale is worth (Android's scale: 1.15 for each).
        frequency_weight: how much of a word's frequency counts in choosing; the context has its say later, and often
            for a frequent word whose path was poor.
        unfinished: what it costs that the finger was lifted before the word was at its end.
        unfinished_key: what each key costs that it did not reach.
    """

    num_nodes: int = 400
    num_words: int = 100
    margin: float = 16.0
    nats_per_step: float = math.log(1.15)
    frequency_weight: float = 0.8
    unfinished: float = 6.0
    unfinished_key: float = 0.3


class Found(NamedTuple):
    """Words of a path, best first.

    Attributes:
        nodes: of the trie, where the path ends, (W,).
        words: places in the trie's `entries`, (W,).
        costs: of the path if the word was meant, (W,).
    """

    nodes: Numbers
    words: Numbers
    costs: Floats


class Beam:
    """Finds words by the evidence of a path.

    Args:
        trie: of the words.
        options: how far to look.
    """

    def __init__(self, trie: KeyTrie, options: BeamOptions | None = None) -> None:
        self.trie = trie
        self.options = options = options or BeamOptions()
        self._key = trie.key.astype(np.intp)
        self._first_child = trie.first_child.astype(np.intp)
        self._num_children = np.diff(self._first_child)
        self._first_word = trie.first_word.astype(np.intp)
        self._num_words = np.diff(self._first_word)
        promise = log_frequencies(trie.best_frequency, options.nats_per_step) * options.frequency_weight
        self._promise: Floats = promise.astype(np.float32)  # negative
        self._best_word = trie.best_word.astype(np.intp)
        self._keys_to_best = trie.keys_to_best.astype(np.intp)
        frequencies = trie.lexicon.frequencies[trie.entries]
        self.log_frequency: Floats = log_frequencies(frequencies, options.nats_per_step)  # (E,)

    def find(self, evidence: PathEvidence) -> Found:
        """Return the words that a path may have meant, the most probable first, frequency included."""
        options = self.options
        num_keys = evidence.letter.shape[1]
        rest = evidence.rest[:, None]
        nodes = self._children(np.array([ROOT], np.intp))[1]
        costs = evidence.first.take(self._key.take(nodes), axis=1)  # (T, N)
        later = _least_later(evidence.letter)
        best_word = np.inf
        ends: list[tuple[Numbers, Floats]] = []  # nodes, and the cost of the path ending there
        while len(nodes):
            ranks = (costs + rest).min(axis=0) - self._promise.take(nodes)
            kept = _lowest(ranks, options.num_nodes, best_word + options.margin)
            nodes, costs = nodes.take(kept), costs.take(kept, axis=1)
            keys = self._key.take(nodes)
            final = (costs + evidence.last.take(keys, axis=1)).min(axis=0)
            ends.append((nodes, final))
            words = (self._num_words.take(nodes) > 0).nonzero()[0]
            if len(words):
                best_word = min(best_word, float((final - self._promise.take(nodes)).take(words).min()))
            parents, nodes = self._hopeful(nodes, costs, evidence, later, best_word + options.margin)
            child_keys = self._key.take(nodes)
            way = evidence.way.take(pair(keys.take(parents), child_keys, num_keys), axis=1)  # (T, N)
            costs = costs.take(parents, axis=1)
            costs -= way
            np.minimum.accumulate(costs, axis=0, out=costs)
            costs += way
            costs += evidence.letter.take(child_keys, axis=1)
        return self._words(ends)

    def _hopeful(
        self, nodes: Numbers, costs: Floats, evidence: PathEvidence, later: Floats, most: float
    ) -> tuple[Numbers, Numbers]:
        """Return the children that are worth a look: the places of their parents, and their nodes."""
        parents, children = self._children(nodes)
        # What a child costs at least, nearly: its parent's best, and its own letter at the best point from there on.
        whole = costs + evidence.rest[:, None]
        least = whole.min(axis=0)
        points = np.maximum((whole <= least + _TIE).argmax(axis=0) - _SLACK, 0)
        bound = least.take(parents) + later[points.take(parents), self._key.take(children)]
        bound -= self._promise.take(children)
        hopeful = _lowest(bound, _CHILDREN * self.options.num_nodes, most)
        return parents.take(hopeful), children.take(hopeful)

    def _children(self, nodes: Numbers) -> tuple[Numbers, Numbers]:
        return _numbered(self._first_child, self._num_children, nodes)

    def _words(self, ends: list[tuple[Numbers, Floats]]) -> Found:
        options = self.options
        nodes = np.concatenate([each[0] for each in ends]) if ends else np.zeros(0, np.intp)
        costs = np.concatenate([each[1] for each in ends]) if ends else np.zeros(0, np.float32)
        places, words = _numbered(self._first_word, self._num_words, nodes)
        # And the most frequent word below each node, for a finger that was lifted too early.
        missing = self._keys_to_best.take(nodes)
        early = (missing > 0).nonzero()[0]
        more = np.float32(options.unfinished) + missing.take(early) * np.float32(options.unfinished_key)
        words = np.concatenate((words, self._best_word.take(nodes.take(early))))
        found = np.concatenate((costs.take(places), costs.take(early) + more))
        places = np.concatenate((places, early))
        ranks = found - options.frequency_weight * self.log_frequency.take(words)
        order = _coarse(ranks).argsort(kind="stable")[: 3 * options.num_words]  # a word may be there from several nodes
        firsts = np.sort(np.unique(words.take(order), return_index=True)[1])[: options.num_words]
        best = order.take(firsts)
        return Found(nodes.take(places.take(best)), words.take(best), found.take(best))


def _numbered(firsts: Numbers, counts: Numbers, nodes: Numbers) -> tuple[Numbers, Numbers]:
    # Of each node, counts[node] numbers from firsts[node] on, each with the place of its node.
    num = counts.take(nodes)
    ends = num.cumsum()
    numbers = (firsts.take(nodes) - ends + num).repeat(num)
    numbers += np.arange(len(numbers))
    return np.arange(len(nodes)).repeat(num), numbers


def _least_later(costs: Floats) -> Floats:
    # Of each point, the least cost there or at any later one, (T, K).
    return np.minimum.accumulate(costs[::-1], axis=0)[::-1]


def _lowest(ranks: Floats, num: int, most: float) -> Numbers:
    kept = (ranks < most).nonzero()[0]
    if len(kept) > num:
        kept = kept.take(best_places(-_coarse(ranks.take(kept)), num))
    return kept


def _coarse(ranks: Floats) -> Floats:
    # The words along a straight way cost the same but for the order in which their costs were summed.
    coarse: Floats = np.rint(ranks / _TIE)
    return coarse
