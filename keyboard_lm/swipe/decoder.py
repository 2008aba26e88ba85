"""From a path to the words it may have meant, without regard to the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

from keyboard_lm.swipe.beam import Beam, BeamOptions
from keyboard_lm.swipe.doubles import Doubles, RestModel
from keyboard_lm.swipe.evidence import Emissions, LetterModel, PathModel
from keyboard_lm.swipe.key_trie import KeyTrie
from keyboard_lm.touch.layout import Layout
from keyboard_lm.touch.path import PathPoint, track
from keyboard_lm.words.lexicon import Lexicon


@dataclass(frozen=True)
class SwipeOptions:
    """How paths are read.

    Attributes:
        model: how a finger that means a word moves.
        rests: how long it is at letters, those that are there twice among them.
        beam: how far to look.
        hopeless: a path is none of a word, and nothing is found, where the best word costs more nats.
        num_words: as many of the most frequent words are looked for; None for all of the lexicon.
    """

    model: PathModel = field(default_factory=PathModel)
    rests: RestModel = field(default_factory=RestModel)
    beam: BeamOptions = field(default_factory=BeamOptions)
    hopeless: float = 60.0
    num_words: int | None = None


class SwipeCandidate(NamedTuple):
    """A word that may have been meant.

    Attributes:
        entry: its number in the lexicon.
        text: as cased in the lexicon.
        log_likelihood: logarithm of P(path | word), but for a constant.
        log_frequency: 0 or below, relative to the highest frequency there can be.
    """

    entry: int
    text: str
    log_likelihood: float
    log_frequency: float


class SwipeFinder(Protocol):
    """Whatever finds words for paths."""

    def find(self, points: Sequence[PathPoint]) -> list[SwipeCandidate]:
        """Return the words that a path may have meant, most promising first."""
        ...


class SwipeDecoder:
    """Finds words for paths. What it needs of the lexicon is arranged at the first path, in a fifth of a second.

    Args:
        lexicon: the words.
        layout: of the keys.
        options: how paths are read.
        letters: judges letters; None for their distance from the path.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        layout: Layout,
        options: SwipeOptions | None = None,
        letters: LetterModel | None = None,
    ) -> None:
        self._letters = letters
        self.lexicon = lexicon
        self.layout = layout
        self.options = options or SwipeOptions()

    def find(self, points: Sequence[PathPoint]) -> list[SwipeCandidate]:
        """Return the words that a path may have meant, most promising first; never offensive ones.

        Args:
            points: of the path, in the units of `Tap`.

        Raises:
            PathError: no finger can have drawn it.
        """
        beam, emissions, doubles = self._parts
        way = track(points, self.layout)
        nodes, words, costs = beam.find(emissions.of(way))
        if len(costs) and costs.min() > self.options.hopeless:
            return []
        entries = beam.trie.entries.take(words)
        logs = beam.log_frequency.take(words)
        shares = doubles.shares(way)
        found = []
        for i, (entry, log, log_frequency) in enumerate(
            zip(entries.tolist(), (-costs).tolist(), logs.tolist(), strict=True)
        ):
            doubled = beam.trie.doubled(int(words[i]))
            if doubled:
                log += doubles.log_ratio(shares, doubled, len(beam.trie.word_keys(int(nodes[i]))))
            found.append(SwipeCandidate(entry, self.lexicon.text(entry), log, log_frequency))
        return found

    @cached_property
    def _parts(self) -> tuple[Beam, Emissions, Doubles]:
        trie = KeyTrie(self.lexicon, self.layout, self.options.num_words)
        emissions = Emissions(self.layout, trie.keys, self.options.model, self._letters)
        return Beam(trie, self.options.beam), emissions, Doubles(emissions.places, self.options.rests)
