"""The most probable words that begin with what has been typed.

A best-first search over piece sequences from a word boundary. Words that are one piece are read from one distribution;
unfinished words are branches, and each round scores the most probable ones as a tree in one call of the network. The
idea of pieces that start with the rest of the typed prefix, together with pieces that the rest starts with, is token
healing (Vieira et al. 2024, "From Language Models over Tokens to Language Models over Characters", has the theory).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.context import Boundary
from keyboard_lm.pieces import PieceSet, PieceTable, Places, fold
from keyboard_lm.text import is_word
from keyboard_lm.word_boundary import Path

Masses = NDArray[np.float64]


@dataclass(frozen=True)
class SearchOptions:
    """What to look for, and how far.

    Attributes:
        num_words: how many words are wanted.
        max_rounds: calls of the network, one for each round of branches.
        max_nodes: tree nodes of one call.
        stop_ratio: a branch is followed only while its probability is above this times that of the last word wanted.
            At 1 no branch left can hold a better word; below 1, more spellings of the same word are added up.
        negligible: a branch is followed only while its probability is above this times that of the words found.
        lower_case_odds: how much less probable a word becomes for lacking a capital that was typed.
    """

    num_words: int = 3
    max_rounds: int = 4
    max_nodes: int = 16
    stop_ratio: float = 1.0
    negligible: float = 0.005
    lower_case_odds: float = 0.05


@dataclass(frozen=True)
class Word:
    """A word found.

    Attributes:
        text: the word as the text form has it; of case variants the most probable.
        probability: given the context, over the ways to write it in pieces that were explored and over its case
            variants (times `SearchOptions.lower_case_odds` for variants that lack a typed capital).
    """

    text: str
    probability: float


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        words: most probable first.
        typed_probability: that of the word that is exactly the typed prefix, in any case; 0 where it was not found.
        prefix_probability: that of any word beginning with the prefix, over the branches explored.
        unexplored: the probability of the branches left; no word's probability is too small by more than this.
        num_rounds: rounds of branches followed.
    """

    words: tuple[Word, ...]
    typed_probability: float
    prefix_probability: float
    unexplored: float
    num_rounds: int


class _Node(NamedTuple):
    """A word begun: the pieces so far, and what is known after them."""

    path: Path
    text: str
    mass: float  # probability of the path, case odds included
    rest: str  # the folded part of the prefix that the pieces have yet to cover
    lacks_capital: bool


class _Branch(NamedTuple):
    """A node to be, by one more piece or by a run of byte pieces, whose `mass` so far is that of the first byte."""

    parent: _Node
    run: Path
    text: str
    mass: float
    rest: str
    lacks_capital: bool
    in_bytes: bool = False

    @property
    def path(self) -> Path:
        return self.parent.path + self.run


class _Endings(NamedTuple):
    """The ways to finish the word at one node: groups of pieces that differ in case only."""

    node: _Node
    pieces: PieceSet
    span: slice
    masses: Masses  # of each piece in the span
    first_group: int
    group_masses: Masses  # of the groups in the span, from the first

    def best(self, num: int, floor: float) -> list[tuple[str, float]]:
        """Return the folded words of the `num` most probable groups above `floor` with their masses, in no order."""
        groups = (self.group_masses > floor).nonzero()[0]
        if num < len(groups):
            groups = groups[np.argpartition(self.group_masses[groups], -num)[-num:]]
        stem, keys = fold(self.node.text), self.pieces.keys
        starts = self.pieces.group_starts[self.first_group + groups].tolist()
        masses = self.group_masses[groups].tolist()
        return [(stem + keys[start], mass) for start, mass in zip(starts, masses, strict=True)]

    def mass(self, key: str) -> float:
        """Return the probability of a folded word, which begins as the node does, in any case."""
        number = self.pieces.group_number(key[len(self.node.text) :]) - self.first_group
        return float(self.group_masses[number]) if 0 <= number < len(self.group_masses) else 0.0

    def variants(self, key: str) -> Iterator[tuple[str, float]]:
        """Yield the case variants of a folded word, which begins as the node does, each with its probability."""
        group = self.pieces.group(key[len(self.node.text) :])
        for i in range(max(group.start, self.span.start), min(group.stop, self.span.stop)):
            yield self.node.text + self.pieces.texts[i], float(self.masses[i - self.span.start])


class _Search:
    """One search in progress; the arguments are those of `find_words`."""

    def __init__(self, table: PieceTable, boundary: Boundary, prefix: str, options: SearchOptions) -> None:
        self.table = table
        self.boundary = boundary
        self.prefix = prefix
        self.options = options
        self.key = fold(prefix)
        self.frontier: list[tuple[float, int, _Branch]] = []  # a heap: minus the mass, a number that breaks ties
        self.endings: dict[str, list[_Endings]] = {}  # by the folded text of their node
        self.found: dict[str, float] = {}  # folded word -> probability
        self.found_mass = 0.0  # of all words that end at the nodes opened
        self.prefix_mass = 0.0
        self.dropped_mass = 0.0  # of branches that nothing would make worth following
        self._capitals = [(i, char) for i, char in enumerate(prefix) if char != self.key[i]]
        self._order = count()

    def run(self) -> SearchResult:
        self._open(_Node((), "", 1.0, self.key, False))
        num_rounds = 0
        while num_rounds < self.options.max_rounds and (batch := self._next_batch()):
            if unknown := [branch.path for branch in batch if not self.boundary.is_known(branch.path)]:
                if not self.boundary.may_expand(len({path[: n + 1] for path in unknown for n in range(len(path))})):
                    self.dropped_mass += sum(branch.mass for branch in batch)
                    break
                self.boundary.expand(unknown)
            num_rounds += 1  # also where an earlier search has paid for it: the answer must not depend on that
            for branch in batch:
                self._open(self._node(branch))
        best = sorted(self.found.items(), key=lambda item: (-item[1], item[0]))[: self.options.num_words]
        return SearchResult(
            words=tuple(Word(self._as_cased(key), mass) for key, mass in best),
            typed_probability=self._mass_of(self.key) if is_word(self.key) else 0.0,
            prefix_probability=self.prefix_mass,
            unexplored=self.dropped_mass + sum(branch.mass for _, _, branch in self.frontier),
            num_rounds=num_rounds,
        )

    def _next_batch(self) -> list[_Branch]:
        """Take the branches that are worth following from the frontier, as many as fit one call."""
        batch: list[_Branch] = []
        nodes: set[Path] = set()
        floor = self._floor()
        while self.frontier and -self.frontier[0][0] > floor:
            branch = self.frontier[0][2]
            path = branch.path
            new = {path[: depth + 1] for depth in range(len(path))} - nodes
            if len(nodes) + len(new) > self.options.max_nodes:
                if nodes:
                    break
                heapq.heappop(self.frontier)  # too long for any call
                self.dropped_mass += branch.mass
                continue
            nodes |= new
            batch.append(heapq.heappop(self.frontier)[2])
        return batch

    def _floor(self) -> float:
        """Return the probability up to which a branch is not worth following; it never falls."""
        num_words = self.options.num_words
        last = sorted(self.found.values())[-num_words] if len(self.found) >= num_words else 0.0
        return max(last * self.options.stop_ratio, self.found_mass * self.options.negligible)

    def _node(self, branch: _Branch) -> _Node:
        mass = branch.mass
        for i, piece_id in enumerate(branch.run[1:], 1):
            mass *= float(self.boundary.probabilities(branch.parent.path + branch.run[:i])[piece_id])
        if branch.in_bytes and not branch.rest:
            self.prefix_mass += mass
        return _Node(branch.path, branch.text, mass, branch.rest, branch.lacks_capital)

    def _open(self, node: _Node) -> None:
        """Add the words that end at a node, and the branches that leave it."""
        ends, opens = self.table.ends, self.table.opens
        probabilities = self.boundary.probabilities(node.path)
        span = ends.starting_with(node.rest)
        masses = self._masses(node, ends, span, probabilities)
        covered = float(masses.sum())
        if len(masses):
            groups = ends.groups_in(span)
            group_masses: Masses = np.add.reduceat(masses, ends.group_starts[groups] - span.start)
            self._add_words(_Endings(node, ends, span, masses, groups.start, group_masses))
        floor = self._floor()
        span = opens.starting_with(node.rest)
        places = opens.beginning_or_begun(node.rest) if node.rest else span
        masses = self._masses(node, opens, places, probabilities)
        covered += float(masses[: span.stop - span.start].sum())
        self._push(node, opens, places, masses, floor)
        if node.rest or not node.path:
            self.prefix_mass += covered
        if node.rest and not covered and len(masses) == span.stop - span.start:
            self._push_bytes(node, probabilities)

    def _masses(self, node: _Node, pieces: PieceSet, places: Places, probabilities: NDArray[np.float32]) -> Masses:
        masses: Masses = probabilities[pieces.ids[places]].astype(np.float64) * node.mass
        if not node.path:
            masses *= pieces.may_begin[places]
        if self._capitals and not node.lacks_capital and len(masses):
            lacks = np.zeros(len(masses), np.bool_)
            for i, char in self._capitals:
                differs = pieces.differs_at(places, i - len(node.text), char)
                if differs is not None:
                    lacks |= differs
            masses[lacks] *= self.options.lower_case_odds
        return masses

    def _lacks_capital(self, stem: str, piece: str) -> bool:
        end = len(stem) + len(piece)
        return any(piece[i - len(stem)] != char for i, char in self._capitals if len(stem) <= i < end)

    def _push(self, node: _Node, pieces: PieceSet, places: Places, masses: Masses, floor: float) -> None:
        """Put open pieces on the frontier, as far as a search can come to follow them."""
        most = self.options.max_nodes * self.options.max_rounds
        kept = (masses > floor).nonzero()[0]
        if most < len(kept):
            kept = kept[np.argpartition(masses[kept], -most)[-most:]]
        self.dropped_mass += float(masses.sum() - masses[kept].sum())
        numbers = kept + places.start if isinstance(places, slice) else places[kept]
        for number, mass in zip(numbers.tolist(), masses[kept].tolist(), strict=True):
            text = pieces.texts[number]
            lacks = node.lacks_capital or self._lacks_capital(node.text, text)
            run = (int(pieces.ids[number]),)
            branch = _Branch(node, run, node.text + text, mass, node.rest[len(text) :], lacks)
            heapq.heappush(self.frontier, (-mass, next(self._order), branch))

    def _push_bytes(self, node: _Node, probabilities: NDArray[np.float32]) -> None:
        """Branch into the bytes of the typed letters that no piece can spell."""
        typed = self.prefix[len(self.prefix) - len(node.rest) :]
        length = 1
        most = min(len(typed), self.options.max_nodes)  # a longer run fits no call
        while length < most and not self.table.can_continue(node.rest[length:]):
            length += 1
        run = tuple(self.table.byte_ids[list(typed[:length].encode())].tolist())
        if min(run) >= 0:
            mass = float(probabilities[run[0]]) * node.mass
            branch = _Branch(node, run, node.text + typed[:length], mass, node.rest[length:], node.lacks_capital, True)
            heapq.heappush(self.frontier, (-mass, next(self._order), branch))

    def _add_words(self, endings: _Endings) -> None:
        """Add the words that end at one node to those found; equal words are added up over all nodes."""
        is_first = not self.endings
        stem = fold(endings.node.text)
        # What is below the floor here could be among the best only with what it has elsewhere, and is added there.
        floor = 0.0 if is_first else self._floor()
        self.endings.setdefault(stem, []).append(endings)
        self.found_mass += float(endings.masses.sum())
        if not is_first:
            for key in self.found:
                if key.startswith(stem):
                    self.found[key] += endings.mass(key)
        for key, mass in endings.best(4 * self.options.num_words + 20, floor):
            if key not in self.found and is_word(key):
                self.found[key] = mass if is_first else self._mass_of(key)

    def _mass_of(self, key: str) -> float:
        return sum(endings.mass(key) for endings in self._endings_of(key))

    def _as_cased(self, key: str) -> str:
        variants: dict[str, float] = {}
        for endings in self._endings_of(key):
            for text, mass in endings.variants(key):
                variants[text] = variants.get(text, 0.0) + mass
        return min(variants, key=lambda text: (-variants[text], text))

    def _endings_of(self, key: str) -> list[_Endings]:
        """Return the nodes opened so far where a folded word may end."""
        return [
            endings
            for length in range(len(key) + 1)
            if key[:length] in self.endings
            for endings in self.endings[key[:length]]
        ]


def find_words(table: PieceTable, boundary: Boundary, prefix: str, options: SearchOptions) -> SearchResult:
    """Return the most probable words that begin with `prefix` after a context.

    Matching ignores case: a typed small letter stands for either, a typed capital prefers words that have it.

    Args:
        table: of the tokenizer that the network was trained with.
        boundary: the context, which ends where a word may start.
        prefix: letters typed since, normalised; ``""`` for the next word.
        options: how many words, and how far to look.

    Raises:
        ContextLengthError: `options.max_nodes` does not fit behind the context.
    """
    return _Search(table, boundary, prefix, options).run()
