"""The most probable words that begin with what has been typed.

A best-first search over piece sequences from a word boundary. Words that are one piece are read from one distribution;
unfinished words are branches, and each round scores the most probable ones as a tree in one call of the network. The
idea of pieces that start with the rest of the typed prefix, together with pieces that the rest starts with, is token
healing (Vieira et al. 2024, "From Language Models over Tokens to Language Models over Characters", has the theory).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.decoding.best import best_places
from keyboard_lm.decoding.context import Boundary
from keyboard_lm.decoding.pieces import PieceSet, PieceTable, Places
from keyboard_lm.decoding.word_boundary import Path
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import is_word

Masses = NDArray[np.float64]
_FEW = 64  # pieces, whose words are sooner added up one by one than all of a table's together


@dataclass(frozen=True)
class SearchOptions:
    """How far to look.

    Attributes:
        max_rounds: calls of the network, one for each round of branches.
        max_nodes: tree nodes of one call.
        stop_ratio: a branch is followed only while its probability is above this times that of the last word wanted.
            At 1 no branch left can hold a better word; below 1, more spellings of the same word are added up.
        negligible: a branch is followed only while its probability is above this times that of the words found.
        lower_case_odds: how much less probable a word becomes for lacking a capital that was typed.
    """

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


@final
class _Node:
    """A word begun: the pieces so far, and what is known after them.

    Attributes:
        path: the pieces.
        text: their letters.
        mass: probability of the path, case odds included.
        rest: the folded part of the prefix that the pieces have yet to cover.
        lacks_capital: whether a capital that was typed is missing already.
    """

    def __init__(self, path: Path, text: str, mass: float, rest: str, lacks_capital: bool) -> None:
        self.path = path
        self.text = text
        self.mass = mass
        self.rest = rest
        self.lacks_capital = lacks_capital


@final
class _Branch:
    """A node to be, by one more piece or by a run of byte pieces, whose `mass` so far is that of the first byte."""

    def __init__(self, parent: _Node, run: Path, node: _Node, in_bytes: bool = False) -> None:
        self.path = parent.path + run
        self.parent_path = parent.path
        self.run = run
        self.node = node
        self.in_bytes = in_bytes


@final
class _Endings:
    """The ways to finish the word at one node: groups of pieces that differ in case only.

    Args:
        text: of the node.
        pieces: that finish words.
        start: place of the first.
        few: the probability of each, where they are few.
        many: the same, where they are many.
    """

    def __init__(self, text: str, pieces: PieceSet, start: int, few: list[float] | None, many: Masses | None) -> None:
        self.text = text
        self.pieces = pieces
        self.start = start
        self.few = few
        self.many = many

    def best(self, num: int, floor: float) -> list[tuple[int, float]]:
        """Return the first pieces of the `num` most probable groups above `floor` and their masses, in no order.

        Of equal groups those that come first.
        """
        if self.many is None:
            found = self.groups()
        else:
            if floor <= 0:
                return self._best_of_many(self.many, num)
            # Only a piece with its part of the floor can be in a group above it, and few have that.
            places = (self.many > floor / self.pieces.largest_group).nonzero()[0]
            if len(places) >= _FEW:
                return [(start, mass) for start, mass in self._best_of_many(self.many, num) if mass > floor]
            keys, places_of = self.pieces.keys, self.pieces.places_of
            groups = dict.fromkeys([places_of[keys[self.start + i]] for i in places.tolist()])
            found = [(start, self._between(start, stop)) for start, stop in groups]
        return best_of([each for each in found if each[1] > floor], num)

    def groups(self) -> list[tuple[int, float]]:
        """Return the first piece of every group and its mass, where they are few."""
        few = self.few or []
        first = self.start
        span = self.pieces.groups_in(slice(first, first + len(few)))
        starts = self.pieces.starts[span.start : span.stop + 1]
        if len(starts) == len(few) + 1:  # no two that differ in case only
            return list(zip(starts, few, strict=False))
        return [(start, sum(few[start - first : stop - first])) for start, stop in pairwise(starts)]

    def _best_of_many(self, masses: Masses, num: int) -> list[tuple[int, float]]:
        starts = self.pieces.group_starts[self.pieces.groups_in(slice(self.start, self.start + len(masses)))]
        of_groups = np.add.reduceat(masses, starts - self.start)
        above = (of_groups > 0).nonzero()[0]
        of_groups, starts = of_groups.take(above), starts.take(above)
        if num < len(of_groups):
            places = best_places(of_groups, num)
            of_groups, starts = of_groups.take(places), starts.take(places)
        return list(zip(starts.tolist(), of_groups.tolist(), strict=True))

    def mass(self, key: str) -> float:
        """Return the probability of a folded word, which begins as the node does, in any case."""
        start, stop = self.pieces.places_of.get(key[len(self.text) :], (0, 0))
        return self._between(start, stop)

    def _between(self, start: int, stop: int) -> float:
        # The probability of a group; 0 where that is outside the span.
        start, stop = start - self.start, stop - self.start
        if start < 0:
            return 0.0
        if self.few is not None:
            if stop > len(self.few):
                return 0.0
            return self.few[start] if stop == start + 1 else sum(self.few[start:stop])
        if self.many is None or stop > len(self.many):
            return 0.0
        return float(self.many[start]) if stop == start + 1 else float(sum(self.many[start:stop].tolist()))

    def variants(self, key: str) -> list[tuple[str, float]]:
        """Return the case variants of a folded word, which begins as the node does, each with its probability."""
        first, last = self.pieces.places_of.get(key[len(self.text) :], (0, 0))
        found = []
        for place in range(first, last):
            mass = self._between(place, place + 1)
            if mass:
                found.append((self.text + self.pieces.texts[place], mass))
        return found


@final
class _Search:
    """One search in progress; the arguments are those of `find_words`."""

    def __init__(
        self, table: PieceTable, boundary: Boundary, prefix: str, num_words: int, options: SearchOptions
    ) -> None:
        self.table = table
        self.boundary = boundary
        self.prefix = prefix
        self.num_words = num_words
        self.options = options
        self.key = fold(prefix)
        # A heap: minus the mass, a number that breaks ties, the parent, and the place of the open piece.
        self.frontier: list[tuple[float, int, _Node, int]] = []
        self.in_bytes: dict[int, _Branch] = {}  # those of byte pieces, by the number
        self.endings: dict[str, list[_Endings]] = {}  # by the folded text of their node
        self.found: dict[str, float] = {}  # folded word -> probability
        self.last_wanted = 0.0  # probability of the last of them that is wanted
        self.is_last_known = True
        self.found_mass = 0.0  # of all words that end at the nodes opened
        self.prefix_mass = 0.0
        self.dropped_mass = 0.0  # of branches that nothing would make worth following
        self._capitals = [(i, char) for i, char in enumerate(prefix) if char != self.key[i]]
        self._num_pushed = 0

    def run(self) -> SearchResult:
        self._open(_Node((), "", 1.0, self.key, False))
        num_rounds = 0
        while num_rounds < self.options.max_rounds and (batch := self._next_batch()):
            unknown = [branch.path for branch in batch if not self.boundary.is_known(branch.path)]
            if unknown and not self.boundary.expand(unknown):
                self.dropped_mass += sum([branch.node.mass for branch in batch])
                break
            num_rounds += 1  # also where an earlier search has paid for it: the answer must not depend on that
            for branch in batch:
                self._open(self._node(branch))
        best = sorted(self.found.items(), key=_worth_of_word)[: self.num_words]
        return SearchResult(
            words=tuple([Word(self._as_cased(key), mass) for key, mass in best]),
            typed_probability=self._mass_of(self.key) if is_word(self.key) else 0.0,
            prefix_probability=self.prefix_mass,
            unexplored=self.dropped_mass - sum([minus_mass for minus_mass, _, _, _ in self.frontier]),
            num_rounds=num_rounds,
        )

    def _next_batch(self) -> list[_Branch]:
        """Take the branches that are worth following from the frontier, as many as fit one call."""
        batch: list[_Branch] = []
        nodes: set[Path] = set()
        floor = self._floor()
        while self.frontier and -self.frontier[0][0] > floor:
            branch = self._branch(self.frontier[0])
            path = branch.path
            new = {path[: depth + 1] for depth in range(len(path))} - nodes
            if len(nodes) + len(new) > self.options.max_nodes:
                if nodes:
                    break
                heapq.heappop(self.frontier)  # too long for any call
                self.dropped_mass += branch.node.mass
                continue
            nodes |= new
            heapq.heappop(self.frontier)
            batch.append(branch)
        return batch

    def _floor(self) -> float:
        """Return the probability up to which a branch is not worth following; it never falls."""
        if not self.is_last_known:
            is_enough = len(self.found) >= self.num_words
            self.last_wanted = sorted(self.found.values())[-self.num_words] if is_enough else 0.0
            self.is_last_known = True
        return max(self.last_wanted * self.options.stop_ratio, self.found_mass * self.options.negligible)

    def _branch(self, entry: tuple[float, int, _Node, int]) -> _Branch:
        minus_mass, number, parent, place = entry
        if place < 0:
            return self.in_bytes[number]
        text = self.table.opens.texts[place]
        lacks = parent.lacks_capital or (bool(self._capitals) and self._lacks_capital(parent.text, text))
        run = (int(self.table.opens.ids[place]),)
        node = _Node(parent.path + run, parent.text + text, -minus_mass, parent.rest[len(text) :], lacks)
        return _Branch(parent, run, node)

    def _node(self, branch: _Branch) -> _Node:
        node = branch.node
        for i, piece_id in enumerate(branch.run[1:], 1):
            node.mass *= float(self.boundary.probabilities(branch.parent_path + branch.run[:i])[piece_id])
        if branch.in_bytes and not node.rest:
            self.prefix_mass += node.mass
        return node

    def _open(self, node: _Node) -> None:
        """Add the words that end at a node, and the branches that leave it."""
        ends, opens = self.table.ends, self.table.opens
        span = ends.starting_with(node.rest)
        num = span.stop - span.start
        covered = 0.0
        if 0 < num <= _FEW:
            few = self._few(node, ends, range(span.start, span.stop), span)
            covered = sum(few)
            self._add_words(_Endings(node.text, ends, span.start, few, None), covered)
        elif num:
            many = self._many(node, ends, span)
            covered = float(np.add.reduce(many))
            self._add_words(_Endings(node.text, ends, span.start, None, many), covered)
        floor = self._floor()
        span = opens.starting_with(node.rest)
        num_longer = span.stop - span.start
        begun: Sequence[int] = range(span.start, span.stop)
        places: Places = span
        if node.rest:
            begun, places = opens.beginning_or_begun(node.rest)
        is_all = len(begun) == num_longer
        if len(begun) <= _FEW:
            few = self._few(node, opens, begun, places)
            total = sum(few)
            longer = total if is_all else sum(few[:num_longer])
            kept = [(mass, place) for mass, place in zip(few, begun, strict=True) if mass > floor]
        else:
            many = self._many(node, opens, places)
            total = float(np.add.reduce(many))
            longer = total if is_all else float(np.add.reduce(many[:num_longer]))
            above = (many > floor).nonzero()[0]
            kept = [(mass, begun[i]) for mass, i in zip(many.take(above).tolist(), above.tolist(), strict=True)]
        self.dropped_mass += total - self._push(node, kept)
        if node.rest or not node.path:
            self.prefix_mass += covered + longer
        if node.rest and not covered + longer and is_all:
            self._push_bytes(node)

    def _few(self, node: _Node, pieces: PieceSet, places: Sequence[int], indices: Places) -> list[float]:
        if node.path:  # opened a few times at most: what is not looked at is not put in order
            given = self.boundary.probabilities(node.path).take(pieces.ids[indices])
        else:
            given = self.boundary.arranged(pieces)[indices]
        mass = node.mass
        masses: list[float] = [share * mass for share in given.tolist()]
        if self._capitals and not node.lacks_capital:
            odds, texts = self.options.lower_case_odds, pieces.texts
            for i, place in enumerate(places):
                if self._lacks_capital(node.text, texts[place]):
                    masses[i] *= odds
        return masses

    def _many(self, node: _Node, pieces: PieceSet, places: Places) -> Masses:
        given = self.boundary.arranged(pieces, node.path, not node.path)[places]
        masses: Masses = given.astype(np.float64) * node.mass
        if self._capitals and not node.lacks_capital and len(masses):
            lacks = np.zeros(len(masses), np.bool_)
            for i, char in self._capitals:
                differs = pieces.differs_at(places, i - len(node.text), char)
                if differs is not None:
                    lacks |= differs
            masses[lacks] *= self.options.lower_case_odds
        return masses

    def _lacks_capital(self, stem: str, piece: str) -> bool:
        first = len(stem)
        end = first + len(piece)
        return any(first <= i < end and piece[i - first] != char for i, char in self._capitals)

    def _push(self, node: _Node, kept: list[tuple[float, int]]) -> float:
        """Put open pieces on the frontier, as far as a search can come to follow them; return their mass together."""
        most = self.options.max_nodes * self.options.max_rounds
        if most < len(kept):
            best = sorted(range(len(kept)), key=lambda i: (-kept[i][0], i))[:most]
            kept = [kept[i] for i in sorted(best)]
        total = 0.0
        for mass, place in kept:
            total += mass
            heapq.heappush(self.frontier, (-mass, self._num_pushed, node, place))
            self._num_pushed += 1
        return total

    def _push_bytes(self, node: _Node) -> None:
        """Branch into the bytes of the typed letters that no piece can spell."""
        typed = self.prefix[len(self.prefix) - len(node.rest) :]
        length = 1
        most = min(len(typed), self.options.max_nodes)  # a longer run fits no call
        while length < most and not self.table.can_continue(node.rest[length:]):
            length += 1
        run: Path = tuple(self.table.byte_ids[list(typed[:length].encode())].tolist())
        if min(run) >= 0:
            mass = float(self.boundary.probabilities(node.path)[run[0]]) * node.mass
            to = _Node(node.path + run, node.text + typed[:length], mass, node.rest[length:], node.lacks_capital)
            self.in_bytes[self._num_pushed] = _Branch(node, run, to, True)
            heapq.heappush(self.frontier, (-mass, self._num_pushed, node, -1))
            self._num_pushed += 1

    def _add_words(self, endings: _Endings, mass: float) -> None:
        """Add the words that end at one node, of `mass` together, to those found; equal words are added up."""
        stem, num = fold(endings.text), 4 * self.num_words + 20
        keys, are_words = endings.pieces.keys, endings.pieces.are_words
        is_first = not self.endings
        # What is below the floor here could be among the best only with what it has elsewhere, and is added there.
        floor = 0.0 if is_first else self._floor()
        self.endings.setdefault(stem, []).append(endings)
        self.found_mass += mass
        self.is_last_known = False
        found = self.found
        if is_first:
            fresh = endings.best(num, floor)
        elif endings.many is None:
            fresh = []
            for piece, mass_here in endings.groups():
                key = stem + keys[piece]
                if key in found:
                    found[key] += mass_here
                elif mass_here > floor:
                    fresh.append((piece, mass_here))
            fresh = best_of(fresh, num)
        else:
            # What `_Endings.mass` does, for each word found so far.
            places_of, many, begin, length = endings.pieces.places_of, endings.many, endings.start, len(stem)
            for key in found:
                if key.startswith(stem) and (place := places_of.get(key[length:])) is not None:
                    start, stop = place[0] - begin, place[1] - begin
                    if start >= 0 and stop <= len(many):
                        found[key] += many.item(start) if stop == start + 1 else sum(many[start:stop].tolist())
            fresh = endings.best(num, floor)
        for piece, mass_here in fresh:
            key = stem + keys[piece]
            if key not in found and (is_word(key) if stem else are_words[piece]):
                found[key] = mass_here if is_first else self._mass_of(key)

    def _mass_of(self, key: str) -> float:
        return sum([endings.mass(key) for endings in self._endings_of(key)])

    def _as_cased(self, key: str) -> str:
        variants: dict[str, float] = {}
        for endings in self._endings_of(key):
            for text, mass in endings.variants(key):
                variants[text] = variants.get(text, 0.0) + mass
        return min(variants, key=lambda text: (-variants[text], text))

    def _endings_of(self, key: str) -> list[_Endings]:
        """Return the nodes opened so far where a folded word may end."""
        return [endings for stem, all_of_it in self.endings.items() if key.startswith(stem) for endings in all_of_it]


def best_of(found: list[tuple[int, float]], num: int) -> list[tuple[int, float]]:
    """Return the `num` of some pieces with most mass, of equal ones the first; in no order where they are all."""
    return sorted(found, key=_worth)[:num] if len(found) > num else found


def _worth(found: tuple[int, float]) -> tuple[float, int]:
    return -found[1], found[0]


def _worth_of_word(found: tuple[str, float]) -> tuple[float, str]:
    return -found[1], found[0]


def find_words(
    table: PieceTable, boundary: Boundary, prefix: str, num_words: int = 3, options: SearchOptions | None = None
) -> SearchResult:
    """Return the most probable words that begin with `prefix` after a context.

    Matching ignores case: a typed small letter stands for either, a typed capital prefers words that have it.

    Args:
        table: of the tokenizer that the network was trained with.
        boundary: the context, which ends where a word may start.
        prefix: letters typed since, normalised; ``""`` for the next word.
        num_words: how many words are wanted.
        options: how far to look; None for the defaults.

    Raises:
        ContextLengthError: `max_nodes` of the options does not fit behind the context.
    """
    return _Search(table, boundary, prefix, num_words, options or SearchOptions()).run()
