"""The words of a lexicon that somebody may have meant, the most probable first, without regard to the context.

A beam search through the lexicon's trie, one typed letter after the other, on flat arrays: every step takes all
hypotheses at once. A hypothesis is a node of the trie and the logarithm of the channel's best way to have typed, on
the way to it, the letters so far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.channel import Channel, Logs
from keyboard_lm.layout import Tap
from keyboard_lm.lexicon import MAX_FREQUENCY, ROOT, Lexicon
from keyboard_lm.pieces import fold

Nodes = NDArray[np.int32]
_MAX_REMEMBERED = 64


@dataclass(frozen=True)
class CandidateOptions:
    """How far to look.

    Attributes:
        num_words: most candidates.
        margin: words are left out whose logarithm is this much below that of the letters taken at their word; two
            of the rarer errors in one word cost up to 17.
        beam: most hypotheses after each letter; 800 found 0.03 % more of heavily mistyped words.
        nats_per_step: what one step of the lexicon's frequency scale is worth (Android's scale: 1.15 for each).
        frequency_weight: how much of a word's frequency counts in choosing candidates; the context has its say later.
    """

    num_words: int = 24
    margin: float = 18.0
    beam: int = 400
    nats_per_step: float = math.log(1.15)
    frequency_weight: float = 0.6


class Candidate(NamedTuple):
    """A word that may have been meant.

    Attributes:
        entry: its number in the lexicon.
        text: as cased in the lexicon.
        log_likelihood: of what was typed, case apart, relative to typing these letters on purpose.
        log_frequency: 0 or below, relative to the highest frequency there can be.
    """

    entry: int
    text: str
    log_likelihood: float
    log_frequency: float


class _Beam(NamedTuple):
    """Hypotheses: nodes, no two the same, and their logarithms."""

    nodes: Nodes
    logs: Logs


class _Step(NamedTuple):
    """The hypotheses after some letters, and where the next letter can take them.

    Attributes:
        beam: the hypotheses.
        children: of all their nodes.
        parents: the place in the beam of each child's parent.
    """

    beam: _Beam
    children: Nodes
    parents: NDArray[np.intp]


class CandidateSearch:
    """Finds the words that may have been meant.

    The last few beginnings are remembered, so that one letter more costs one step more.

    Args:
        lexicon: the words.
        channel: over the lexicon's alphabet.
        options: how far to look.
    """

    def __init__(self, lexicon: Lexicon, channel: Channel, options: CandidateOptions | None = None) -> None:
        self.lexicon = lexicon
        self.channel = channel
        self.options = options or CandidateOptions()
        step = self.options.nats_per_step
        self._promise: Logs = (
            (lexicon.best_frequency.astype(np.float32) - MAX_FREQUENCY) * step * self.options.frequency_weight
        )
        self._begun = self._step([_Beam(np.array([ROOT], np.int32), np.zeros(1, np.float32))])
        self._steps: dict[tuple[str, tuple[Tap | None, ...]], _Step] = {}
        self._log_frequency: Logs = (lexicon.frequencies.astype(np.float32) - MAX_FREQUENCY) * step

    def find(self, typed: str, taps: Sequence[Tap | None] = ()) -> list[Candidate]:
        """Return the words that may have been meant by letters or taps, most promising first; never offensive ones.

        Args:
            typed: the letters of a finished word; case is ignored.
            taps: one for each letter, or none.
        """
        known_taps = tuple(taps) if len(taps) == len(typed) else (None,) * len(typed)
        return self._candidates(self._after(fold(typed), known_taps).beam) if typed else []

    def prefixes(self, typed: str, taps: Sequence[Tap | None] = (), num: int = 6) -> list[tuple[str, float]]:
        """Return other beginnings of words that may have been meant by the letters of a word that goes on.

        Args:
            typed: the letters so far; case is ignored.
            taps: one for each letter, or none.
            num: how many beginnings at most; those that promise the best words first.

        Returns:
            Folded beginnings, none of which begins with the letters typed, each with the logarithm of its likelihood.
        """
        folded = fold(typed)
        known_taps = tuple(taps) if len(taps) == len(typed) else (None,) * len(typed)
        nodes, logs = self._after(folded, known_taps).beam
        ranks = logs + self._promise[nodes]
        found = []
        for place in np.argsort(-ranks, kind="stable")[: 4 * num].tolist():
            prefix = self.lexicon.prefix(int(nodes[place]))
            if prefix and not prefix.startswith(folded) and not folded.startswith(prefix):
                found.append((prefix, float(logs[place])))
                if len(found) == num:
                    break
        return found

    def _after(self, typed: str, taps: tuple[Tap | None, ...]) -> _Step:
        """Return the hypotheses after folded letters."""
        before, last = self._begun, self._begun
        for end in range(1, len(typed) + 1):
            key = typed[:end], taps[:end]
            step = self._steps.get(key)
            if step is None:
                step = self._advance(typed[:end], taps[:end], last, before)
                if len(self._steps) >= _MAX_REMEMBERED:
                    self._steps.clear()
                self._steps[key] = step
            before, last = last, step
        return last

    def _advance(self, typed: str, taps: tuple[Tap | None, ...], last: _Step, before: _Step) -> _Step:
        """Move hypotheses over the last letter typed: from the letter before it, and from two before it."""
        letters = self.lexicon.letters
        evidence = self.channel.evidence(typed[-2:], taps[-2:])
        hit, after = evidence.emission[-1], evidence.after[-1]
        nodes, logs = last.beam
        arriving = [
            self._worth(last.children, logs[last.parents] + hit[letters[last.children]]),
            self._worth(nodes, logs + after[letters[nodes]]),
        ]
        if len(typed) > 1:
            child_letters = letters[before.children]
            second = before.beam.logs[before.parents] + hit[child_letters]
            arriving.append(self._worth(before.children, second + evidence.before[-2, child_letters]))
            swapped = self._worth(before.children, second + self.channel.transposition)
            if len(swapped.nodes):
                grandchildren, through = self._children(swapped.nodes)
                first = evidence.emission[-2, letters[grandchildren]]
                arriving.append(self._worth(grandchildren, swapped.logs[through] + first))
        return self._step(arriving)

    def _step(self, arriving: list[_Beam]) -> _Step:
        """Put hypotheses together, with those that leave one more letter out."""
        letters = self.lexicon.letters
        beam = self._pruned(arriving)
        children, parents = self._children(beam.nodes)
        omission = self.channel.omission[letters[beam.nodes[parents]], letters[children]]
        skipped = self._worth(children, beam.logs[parents] + omission)
        if len(skipped.nodes):
            beam = self._pruned([beam, skipped])
            children, parents = self._children(beam.nodes)
        return _Step(beam, children, parents)

    def _worth(self, nodes: Nodes, logs: Logs) -> _Beam:
        kept = (logs > -self.options.margin).nonzero()[0]
        return _Beam(nodes[kept], logs[kept])

    def _pruned(self, beams: list[_Beam]) -> _Beam:
        """Return the best of several beams; of equal nodes the better."""
        nodes = np.concatenate([beam.nodes for beam in beams])
        logs = np.concatenate([beam.logs for beam in beams])
        if len(nodes) > 1:
            order = nodes.argsort()
            nodes, logs = nodes[order], logs[order]
            is_first = np.empty(len(nodes), np.bool_)
            is_first[0] = True
            np.not_equal(nodes[1:], nodes[:-1], out=is_first[1:])
            firsts = is_first.nonzero()[0]
            nodes, logs = nodes[firsts], np.maximum.reduceat(logs, firsts)
        if len(nodes) > self.options.beam:
            ranks = logs + self._promise[nodes]
            best = ranks.argpartition(len(ranks) - self.options.beam)[-self.options.beam :]
            best.sort()
            nodes, logs = nodes[best], logs[best]
        return _Beam(nodes, logs)

    def _children(self, nodes: Nodes) -> tuple[Nodes, NDArray[np.intp]]:
        """Return all children, and for each the place of its parent in `nodes`."""
        return _numbers_of(self.lexicon.first_child, nodes)

    def _candidates(self, beam: _Beam) -> list[Candidate]:
        lexicon = self.lexicon
        entries, owners = _numbers_of(lexicon.first_entry, beam.nodes)
        offered = lexicon.flags[entries] == 0
        owners, entries = owners[offered], entries[offered]
        logs = beam.logs[owners]
        ranks = logs + self.options.frequency_weight * self._log_frequency[entries]
        best = (-ranks).argsort(kind="stable")[: self.options.num_words].tolist()
        return [
            Candidate(
                int(entries[i]), lexicon.text(int(entries[i])), float(logs[i]), float(self._log_frequency[entries[i]])
            )
            for i in best
        ]


def _numbers_of(firsts: NDArray[np.int32], nodes: Nodes) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    # Of each node n, the numbers from firsts[n] to firsts[n + 1]; and for each number the place of its node.
    first = firsts[nodes]
    counts = firsts[nodes + 1] - first
    ends = counts.cumsum(dtype=np.int32)
    numbers = (first - ends + counts).repeat(counts)
    numbers += np.arange(len(numbers), dtype=np.int32)
    return numbers, np.arange(len(nodes)).repeat(counts)
