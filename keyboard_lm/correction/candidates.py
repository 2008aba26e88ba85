"""The words of a lexicon that somebody may have meant, the most probable first, without regard to the context.

A beam search through the lexicon's trie, one typed letter after the other, on flat arrays: every step takes all
hypotheses at once. A hypothesis is a node of the trie and the logarithm of the channel's best way to have typed, on
the way to it, the letters so far.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.decoding.best import best_places
from keyboard_lm.text.case import fold
from keyboard_lm.touch.channel import NEVER, Channel, Logs, Place
from keyboard_lm.touch.layout import Tap
from keyboard_lm.words.lexicon import MAX_FREQUENCY, ROOT, Lexicon

Nodes = NDArray[np.intp]
_Typed = tuple[str, tuple[Tap | None, ...]]  # folded letters, and where each was tapped
_MOST_ERRORS = 8.0  # of a hypothesis that a rule of spelling is tried on: one error before, or a rare one
_MOVED = 3  # letters that change their places where one is two places too early or too late


@dataclass(frozen=True)
class CandidateOptions:
    """How far to look.

    Attributes:
        num_words: most candidates.
        margin: hypotheses are left out whose logarithm is this much below that of the letters taken at their word, or
            below the best one's where those begin no word; two of the rarer errors in one word cost up to 17. From the
            best one on, the third error of ``unfortunently`` is found, and no word costs more for it.
        most_margin: no hypothesis is this much below the letters taken at their word.
        beam: most hypotheses after each letter; 800 found 0.03 % more of heavily mistyped words.
        nats_per_step: what one step of the lexicon's frequency scale is worth: the slope of a line through the words'
            counts in the training texts (Android says a factor of 1.15, which is too steep for rare words).
        frequency_weight: how much of a word's frequency counts in choosing candidates; the context has its say later.
    """

    num_words: int = 24
    margin: float = 18.0
    most_margin: float = 36.0
    beam: int = 400
    nats_per_step: float = 0.093
    frequency_weight: float = 0.9


@dataclass(frozen=True)
class CandidateMemory:
    """How much of what was looked for is remembered, by all keyboards that ask.

    Attributes:
        beginnings: of words, as they were typed; some 8 KB each.
        children: how many of them keep where the next letter can lead, some 80 KB each. Who types alone needs the
            newest ones; where fifty people type in turn, two or three of each are worth an eighth of a key.
    """

    beginnings: int = 1024
    children: int = 12


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
        num: how many each of the hypotheses has.
    """

    nodes: Nodes
    letters: NDArray[np.uint8]
    logs: Logs
    num: NDArray[np.int32]


class _Rules(NamedTuple):
    """Rules of spelling for what was typed.

    Attributes:
        is_first: whether a letter, by its number, is the first that one of them means, (A,).
        by_first: by that letter: the other letters meant, and the logarithm of the rule's probability.
    """

    is_first: NDArray[np.bool_]
    by_first: dict[int, list[tuple[tuple[int, ...], float]]]


class _Step:
    """The hypotheses after some letters, and what was made of them so far.

    Attributes:
        beam: the hypotheses.
        last: what the channel says of the last letter; None before the first.
        least: what a hypothesis has to be worth at the next letter.
        literal: the node of the letters taken at their word; -1 where no word begins so.
        children: where the next letter can take them; None where that is not known.
        likely: where a rule of spelling can take them; None where that is not known.
        words: the words that end at them, best first; None where that is not known.
        beginnings: the beginnings that they are, by how many were wanted.
    """

    __slots__ = ("beam", "beginnings", "children", "last", "least", "likely", "literal", "words")

    def __init__(self, beam: _Beam, last: Place | None, least: float, literal: int) -> None:
        self.beam = beam
        self.least = least
        self.literal = literal
        self.last = last
        self.children: _Children | None = None
        self.likely: _Children | None = None
        self.words: list[Candidate] | None = None
        self.beginnings: dict[int, list[tuple[str, float]]] = {}


class CandidateSearch:
    """Finds the words that may have been meant.

    The beginnings used last are remembered, so that one letter more costs one step more, and a word that was typed
    before none.

    Args:
        lexicon: the words.
        channel: over the lexicon's alphabet.
        options: how far to look.
        memory: how much is remembered.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        channel: Channel,
        options: CandidateOptions | None = None,
        memory: CandidateMemory | None = None,
    ) -> None:
        self._memory = memory or CandidateMemory()
        self.lexicon = lexicon
        self.channel = channel
        self.options = options or CandidateOptions()
        step = self.options.nats_per_step
        # Tables of what a frequency is worth: the lexicon's own arrays are the only long ones.
        self._log_of: Logs = (np.arange(MAX_FREQUENCY + 1, dtype=np.float32) - MAX_FREQUENCY) * step
        self._promise_of: Logs = self._log_of * self.options.frequency_weight
        self._moved = float(np.float32(channel.moved))
        self._omission: Logs = channel.omission.ravel()
        self._rules: dict[tuple[str, bool], _Rules] = {}  # by what was typed and whether the word begins there
        self._steps: OrderedDict[_Typed, _Step] = OrderedDict()  # the one used longest ago first
        self._with_children: deque[_Step] = deque()  # the last ones whose children were wanted
        least = -self.options.margin
        self._begun = self._step([np.array([ROOT], np.intp)], [np.zeros(1, np.float32)], None, least, ROOT)

    def forget(self) -> None:
        """Drop the beginnings that are remembered."""
        self._steps.clear()
        self._with_children.clear()

    def find(self, typed: str, taps: Sequence[Tap | None] = ()) -> list[Candidate]:
        """Return the words that may have been meant by letters or taps, most promising first; never offensive ones.

        Args:
            typed: the letters of a finished word; case is ignored.
            taps: one for each letter, or none.
        """
        if not typed:
            return []
        step = self._after(fold(typed), tuple(taps) if len(taps) == len(typed) else (None,) * len(typed))
        if step.words is None:
            step.words = self._candidates(step.beam)
        return step.words

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
        step = self._after(folded, known_taps)
        found = step.beginnings.get(num)
        if found is None:
            found = step.beginnings[num] = self._beginnings(step.beam, folded, num)
        return found

    def _beginnings(self, beam: _Beam, folded: str, num: int) -> list[tuple[str, float]]:
        best = (-(beam.logs + self._promise(beam.nodes))).argsort(kind="stable")[: 4 * num]
        found: list[tuple[str, float]] = []
        for node, log in zip(beam.nodes.take(best).tolist(), beam.logs.take(best).tolist(), strict=True):
            prefix = self.lexicon.prefix(node)
            is_likely = log > -self.options.margin
            if is_likely and prefix and not prefix.startswith(folded) and not folded.startswith(prefix):
                found.append((prefix, log))
                if len(found) == num:
                    break
        return found

    def _after(self, typed: str, taps: tuple[Tap | None, ...]) -> _Step:
        """Return the hypotheses after folded letters."""
        remembered = self._steps
        found = remembered.get((typed, taps))
        if found is None:
            steps = [self._begun]
            for num in range(1, len(typed) + 1):
                key = typed[:num], taps[:num]
                step = remembered.get(key)
                if step is None:
                    step = remembered[key] = self._advance(key[0], taps[num - 1], steps)
                steps.append(step)
            found = steps[-1]
            while len(remembered) > self._memory.beginnings:
                remembered.popitem(last=False)
        elif typed:
            remembered.move_to_end((typed, taps))
        return found

    def _advance(self, typed: str, tap: Tap | None, steps: list[_Step]) -> _Step:
        """Move hypotheses over the last letter typed: from the letter before it, from two before it, or by a rule."""
        letter, last = typed[-1], steps[-1]
        channel = self.channel
        place = channel.place(letter, tap) if len(typed) > 1 else channel.first_place(letter, tap)
        hit = place.hit
        after = channel.doubled(letter, place.added) if letter == typed[-2:-1] else place.added
        children, beam = self._children_of(last), last.beam
        letters = self.lexicon.letters.take(beam.nodes)
        nodes = [children.nodes, beam.nodes]
        logs = [children.logs + hit.take(children.letters), beam.logs + after.take(letters)]
        if last.last is not None:
            children = self._children_of(steps[-2])
            second = children.logs + hit.take(children.letters)
            nodes.append(children.nodes)
            logs.append(second + last.last.brushed.take(children.letters))
            swapped = _worth(children.nodes, second + channel.transposition, last.least)
            if len(swapped.nodes):
                grandchildren = self._children(swapped)
                nodes.append(grandchildren.nodes)
                logs.append(grandchildren.logs + last.last.hit.take(grandchildren.letters))
        literal = self.lexicon.below(last.literal, (self.lexicon.number_of(letter),)) if last.literal >= 0 else -1
        respelt = self._respelt(typed, steps)
        if respelt is not None:
            nodes.append(respelt.nodes)
            logs.append(respelt.logs)
        return self._step(nodes, logs, place, last.least, literal)

    def _respelt(self, typed: str, steps: list[_Step]) -> _Beam | None:
        """Return where rules of spelling take hypotheses whose letters are at the end of what was typed."""
        nodes: list[int] = []
        logs: list[float] = []
        below = self.lexicon.below
        for num in range(1, min(self.channel.longest_typed, len(typed)) + 1):
            rules = self._rules_of(typed[-num:], num == len(typed))
            if rules is None:
                continue
            likely = self._likely_children(steps[-num])
            first = rules.is_first.take(likely.letters).nonzero()[0]
            columns = (column.take(first).tolist() for column in likely[:3])
            for node, letter, log in zip(*columns, strict=True):
                for rest, log_probability in rules.by_first[letter]:
                    end = below(node, rest) if rest else node
                    if end >= 0:
                        nodes.append(end)
                        logs.append(log + log_probability)
        if len(typed) >= _MOVED and (before := steps[-_MOVED].literal) >= 0:
            for meant in (typed[-2:] + typed[-3], typed[-1] + typed[-3:-1]):
                end = below(before, map(self.lexicon.number_of, meant))
                if end >= 0:
                    nodes.append(end)
                    logs.append(self._moved)
        return _Beam(np.array(nodes, np.intp), np.array(logs, np.float32)) if nodes else None

    def _rules_of(self, typed: str, begins: bool) -> _Rules | None:
        rules = self._rules.get((typed, begins))
        if rules is not None:
            return rules
        by_first: dict[int, list[tuple[tuple[int, ...], float]]] = {}
        for rule in self.channel.substitutions.get(typed, ()):
            if begins or not rule.at_start:
                log_probability = float(np.float32(rule.log_probability))  # added as the channel's other numbers
                by_first.setdefault(rule.meant[0], []).append((rule.meant[1:], log_probability))
        if not by_first:
            return None
        is_first = np.zeros(len(self.lexicon.alphabet) + 1, np.bool_)
        is_first[list(by_first)] = True
        rules = self._rules[typed, begins] = _Rules(is_first, by_first)
        return rules

    def _likely_children(self, step: _Step) -> _Children:
        # Those of the hypotheses that may still be misspelt by a rule.
        if step.likely is None:
            kept = (step.beam.logs > -_MOST_ERRORS).nonzero()[0]
            self._remember_children(step)
            step.likely = self._children(_Beam(step.beam.nodes.take(kept), step.beam.logs.take(kept)))
        return step.likely

    def _children_of(self, step: _Step) -> _Children:
        if step.children is None:
            self._remember_children(step)
            step.children = self._children(step.beam)
        return step.children

    def _remember_children(self, step: _Step) -> None:
        # Before either is set: with one of the two it is among them already.
        if step.children is None and step.likely is None:
            self._with_children.append(step)
            if len(self._with_children) > self._memory.children:
                oldest = self._with_children.popleft()
                oldest.children = oldest.likely = None

    def _step(self, nodes: list[Nodes], logs: list[Logs], last: Place | None, least: float, literal: int) -> _Step:
        """Put hypotheses together, with those that leave one more letter out."""
        beam = self._pruned(nodes, logs, least)
        children = self._children(beam)
        row = self.lexicon.letters.take(beam.nodes).astype(np.intp) * (len(self.lexicon.alphabet) + 1)
        omission = self._omission.take(row.repeat(children.num) + children.letters)
        skipped = _worth(children.nodes, children.logs + omission, least)
        if len(skipped.nodes):
            pruned = self._pruned([beam.nodes, skipped.nodes], [beam.logs, skipped.logs], least)
            return _Step(pruned, last, self._least(pruned), literal)
        step = _Step(beam, last, self._least(beam), literal)
        self._remember_children(step)
        step.children = children
        return step

    def _least(self, beam: _Beam) -> float:
        # What a hypothesis has to be worth at the next letter.
        best = min(float(beam.logs.max(initial=NEVER)), 0.0)
        return max(best - self.options.margin, -self.options.most_margin)

    def _pruned(self, several_nodes: list[Nodes], several_logs: list[Logs], least: float) -> _Beam:
        """Return the best of several sets of hypotheses, as far as they are worth it; of equal nodes the better."""
        nodes, logs = _worth(np.concatenate(several_nodes), np.concatenate(several_logs), least)
        if len(nodes) > 1:
            order = nodes.argsort(kind="stable")  # timsort: each of the beams is in order already
            nodes, logs = nodes.take(order), logs.take(order)
            is_first = np.empty(len(nodes), np.bool_)
            is_first[0] = True
            np.not_equal(nodes[1:], nodes[:-1], out=is_first[1:])
            firsts = is_first.nonzero()[0]
            nodes, logs = nodes.take(firsts), np.maximum.reduceat(logs, firsts)
        if len(nodes) > self.options.beam:
            ranks = logs + self._promise(nodes)
            best = best_places(ranks, self.options.beam)
            nodes, logs = nodes.take(best), logs.take(best)
        return _Beam(nodes, logs)

    def _children(self, beam: _Beam) -> _Children:
        nodes, logs, num = _numbered(self.lexicon.first_child, beam)
        return _Children(nodes, self.lexicon.letters.take(nodes), logs, num)

    def _promise(self, nodes: Nodes) -> Logs:
        return self._promise_of.take(self.lexicon.best_frequency.take(nodes))

    def _candidates(self, beam: _Beam) -> list[Candidate]:
        lexicon = self.lexicon
        entries, logs, _ = _numbered(lexicon.first_entry, beam)
        offered = (lexicon.flags.take(entries) == 0).nonzero()[0]
        entries, logs = entries.take(offered), logs.take(offered)
        frequencies = lexicon.frequencies.take(entries)
        best = (-(logs + self._promise_of.take(frequencies))).argsort(kind="stable")[: self.options.num_words]
        log_frequencies = self._log_of.take(frequencies.take(best)).tolist()
        numbers = entries.take(best).tolist()
        columns = numbers, map(lexicon.text, numbers), logs.take(best).tolist(), log_frequencies
        new = tuple.__new__  # a third of the time of the class, for two dozen words a letter
        return [new(Candidate, row) for row in zip(*columns, strict=True)]


def _worth(nodes: Nodes, logs: Logs, least: float) -> _Beam:
    kept = (logs > least).nonzero()[0]
    return _Beam(nodes.take(kept), logs.take(kept))


def _numbered(firsts: NDArray[np.int32], beam: _Beam) -> tuple[NDArray[np.intp], Logs, NDArray[np.int32]]:
    # Of each node n of the beam, the numbers from firsts[n] to firsts[n + 1]; for each number the logarithm of its
    # node; and how many each node has.
    first = firsts.take(beam.nodes)
    num = firsts.take(beam.nodes + 1) - first
    numbers = (first - num.cumsum() + num).repeat(num)
    numbers += np.arange(len(numbers))
    return numbers, beam.logs.repeat(num), num
