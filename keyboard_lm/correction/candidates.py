"""The words of a lexicon that somebody may have meant, the most probable first, without regard to the context.

A beam search through the lexicon's trie, one typed letter after the other, on flat arrays: every step takes all
hypotheses at once. A hypothesis is a node of the trie and the logarithm of the channel's best way to have typed, on
the way to it, the letters so far.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.decoding.best import best_places
from keyboard_lm.text.case import fold
from keyboard_lm.touch.channel import Channel, Logs, Place
from keyboard_lm.touch.layout import Tap
from keyboard_lm.words.lexicon import MAX_FREQUENCY, ROOT, Lexicon

Nodes = NDArray[np.intp]
MAX_REMEMBERED = 64


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


class _Children(NamedTuple):
    """Where the next letter can take hypotheses: all children of their nodes.

    Attributes:
        nodes: the children.
        letters: on the way to each.
        logs: of each child's parent.
    """

    nodes: Nodes
    letters: Nodes
    logs: Logs


class _Step:
    """The hypotheses after some letters.

    Attributes:
        beam: the hypotheses.
        last: what the channel says of the last letter; None before the first.
        longer: the hypotheses after one letter more, by that and its tap, as far as they are remembered.
    """

    def __init__(self, beam: _Beam, last: Place | None, children_of: Callable[[_Beam], _Children]) -> None:
        self.beam = beam
        self.last = last
        self.longer: dict[tuple[str, Tap | None], _Step] = {}
        self._children_of = children_of

    @cached_property
    def children(self) -> _Children:
        """Where the next letter can take them; found when there is one."""
        return self._children_of(self.beam)


class CandidateSearch:
    """Finds the words that may have been meant.

    The last few beginnings are remembered, so that one letter more costs one step more.

    Args:
        lexicon: the words.
        channel: over the lexicon's alphabet.
        options: how far to look.
        num_remembered: letters of beginnings that are remembered, some 50 KB each; more where several keyboards ask.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        channel: Channel,
        options: CandidateOptions | None = None,
        num_remembered: int = MAX_REMEMBERED,
    ) -> None:
        self._max_steps = num_remembered
        self.lexicon = lexicon
        self.channel = channel
        self.options = options or CandidateOptions()
        step = self.options.nats_per_step
        self._promise: Logs = (
            (lexicon.best_frequency.astype(np.float32) - MAX_FREQUENCY) * step * self.options.frequency_weight
        )
        self._first_child = lexicon.first_child.astype(np.intp)
        self._num_children = np.diff(self._first_child)
        self._first_entry = lexicon.first_entry.astype(np.intp)
        self._num_entries = np.diff(self._first_entry)
        self._letters = lexicon.letters.astype(np.intp)
        self._omission = channel.omission[lexicon.letters[lexicon.parents], lexicon.letters]  # of each node's letter
        self._num_steps = 0
        self._log_frequency: Logs = (lexicon.frequencies.astype(np.float32) - MAX_FREQUENCY) * step
        self._begun = self._step([_Beam(np.array([ROOT], np.intp), np.zeros(1, np.float32))], None)

    def forget(self) -> None:
        """Drop the beginnings that are remembered."""
        self._begun.longer.clear()
        self._num_steps = 0

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
        before, last, letter_before = self._begun, self._begun, ""
        for key in zip(typed, taps, strict=True):
            step = last.longer.get(key)
            if step is None:
                step = self._advance(*key, letter_before, last, before)
                if self._num_steps >= self._max_steps:
                    self.forget()
                last.longer[key] = step
                self._num_steps += 1
            before, last, letter_before = last, step, key[0]
        return last

    def _advance(self, letter: str, tap: Tap | None, letter_before: str, last: _Step, before: _Step) -> _Step:
        """Move hypotheses over the last letter typed: from the letter before it, and from two before it."""
        place = self.channel.place(letter, tap)
        hit = place.hit
        after = self.channel.doubled(letter, place.brushed) if letter == letter_before else place.brushed
        children, beam = last.children, last.beam
        arriving = [
            self._worth(children.nodes, children.logs + hit.take(children.letters)),
            self._worth(beam.nodes, beam.logs + after.take(self._letters.take(beam.nodes))),
        ]
        if last.last is not None:
            children = before.children
            second = children.logs + hit.take(children.letters)
            arriving.append(self._worth(children.nodes, second + last.last.brushed.take(children.letters)))
            swapped = self._worth(children.nodes, second + self.channel.transposition)
            if len(swapped.nodes):
                grandchildren = self._children(swapped)
                first = last.last.hit.take(grandchildren.letters)
                arriving.append(self._worth(grandchildren.nodes, grandchildren.logs + first))
        return self._step(arriving, place)

    def _step(self, arriving: list[_Beam], last: Place | None) -> _Step:
        """Put hypotheses together, with those that leave one more letter out."""
        beam = self._pruned(arriving)
        children = self._children(beam)
        skipped = self._worth(children.nodes, children.logs + self._omission.take(children.nodes))
        if len(skipped.nodes):
            beam = self._pruned([beam, skipped])
        return _Step(beam, last, self._children)

    def _worth(self, nodes: Nodes, logs: Logs) -> _Beam:
        kept = (logs > -self.options.margin).nonzero()[0]
        return _Beam(nodes.take(kept), logs.take(kept))

    def _pruned(self, beams: list[_Beam]) -> _Beam:
        """Return the best of several beams; of equal nodes the better."""
        nodes = np.concatenate([beam.nodes for beam in beams])
        logs = np.concatenate([beam.logs for beam in beams])
        if len(nodes) > 1:
            order = nodes.argsort(kind="stable")  # timsort: each of the beams is in order already
            nodes, logs = nodes.take(order), logs.take(order)
            is_first = np.empty(len(nodes), np.bool_)
            is_first[0] = True
            np.not_equal(nodes[1:], nodes[:-1], out=is_first[1:])
            firsts = is_first.nonzero()[0]
            nodes, logs = nodes.take(firsts), np.maximum.reduceat(logs, firsts)
        if len(nodes) > self.options.beam:
            ranks = logs + self._promise.take(nodes)
            best = best_places(ranks, self.options.beam)
            nodes, logs = nodes.take(best), logs.take(best)
        return _Beam(nodes, logs)

    def _children(self, beam: _Beam) -> _Children:
        nodes, logs = _numbered(self._first_child, self._num_children, beam)
        return _Children(nodes, self._letters.take(nodes), logs)

    def _candidates(self, beam: _Beam) -> list[Candidate]:
        lexicon = self.lexicon
        entries, logs = _numbered(self._first_entry, self._num_entries, beam)
        offered = (lexicon.flags.take(entries) == 0).nonzero()[0]
        entries, logs = entries.take(offered), logs.take(offered)
        ranks = logs + self.options.frequency_weight * self._log_frequency.take(entries)
        best = (-ranks).argsort(kind="stable")[: self.options.num_words]
        numbers = entries.take(best)
        columns = numbers.tolist(), logs.take(best).tolist(), self._log_frequency.take(numbers).tolist()
        return [Candidate(entry, lexicon.text(entry), *rest) for entry, *rest in zip(*columns, strict=True)]


def _numbered(firsts: NDArray[np.intp], counts: NDArray[np.intp], beam: _Beam) -> tuple[NDArray[np.intp], Logs]:
    # Of each node n of the beam, counts[n] numbers from firsts[n] on; and for each number the logarithm of its node.
    num = counts.take(beam.nodes)
    ends = num.cumsum()
    numbers = (firsts.take(beam.nodes) - ends + num).repeat(num)
    numbers += np.arange(len(numbers))
    return numbers, beam.logs.repeat(num)
