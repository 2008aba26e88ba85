"""The decayed n-gram cache: what followed a context so far, and how far to believe it."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nsmallest

from keyboard_lm.errors import ConfigError

MAX_ORDER = 3
_LAST = "\U0010ffff"  # sorts after every character of a word
_NUM_SCANNED = 64  # as many words are looked through one by one
_NUM_KEPT = 16  # heaviest words that are kept for a beginning that more words share
_NUM_POOLED = 8  # heaviest words of each order that are looked at, at least


@dataclass(frozen=True)
class PersonalOptions:
    """How a personal model learns and how much it counts.

    An order's share of the answer is ``cap * count / (count + escape)``, where `count` is how much was seen after the
    context, decayed: the weights of MacKay & Peto 1995 ("A Hierarchical Dirichlet Language Model") under a ceiling.
    What the longest context leaves is shared by the shorter ones, and what the shortest leaves is the language model's.
    (Witten and Bell's weights, which count different words, predicted worse.) The figures were chosen on writers that
    ``tests/benchmarks/personal_gain.py`` leaves out of its own. They lie on a plateau: the best that ``--fit`` finds
    gains less than 0.2 points of top-3 accuracy more there. Histories of a few thousand words do not tell half-lives of
    1,000 and 100,000 words apart.

    Attributes:
        half_life_words: after as many learned words an event counts half (Clarkson & Robinson 1997, "Language Model
            Adaptation using Mixtures and an Exponentially Decaying Cache"). Words, not days: a holiday is no reason to
            forget.
        caps: the largest share of orders 1, 2 and 3. Words without context say little next to a network, however many
            were seen.
        escapes: of orders 1, 2 and 3; the higher, the more evidence an order needs.
        quarantine_s: an unknown word seen again sooner than this has not been seen again: the first sighting may have
            been a slip that is being repeated in one message.
        quarantine_words: after as many learned words, an unknown word seen once is forgotten.
        max_ngrams: most n-grams kept; the weakest tenth goes when there are more.
    """

    half_life_words: float = 10_000
    caps: tuple[float, float, float] = (0.1, 0.2, 0.2)
    escapes: tuple[float, float, float] = (64.0, 4.0, 0.5)
    quarantine_s: float = 60.0
    quarantine_words: int = 20_000
    max_ngrams: int = 200_000

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigError: naming all mistakes.
        """
        mistakes = []
        if not 10 <= self.half_life_words < math.inf:
            mistakes.append("half_life_words must be at least 10 and finite")
        if len(self.caps) != MAX_ORDER or not all(0 <= cap < 1 for cap in self.caps):
            mistakes.append(f"caps must be {MAX_ORDER} numbers from 0 to below 1")
        if len(self.escapes) != MAX_ORDER or not all(0 <= escape < math.inf for escape in self.escapes):
            mistakes.append(f"escapes must be {MAX_ORDER} numbers of at least 0")
        if not 0 <= self.quarantine_s < math.inf:
            mistakes.append("quarantine_s must be at least 0 and finite")
        if self.quarantine_words < 1:
            mistakes.append("quarantine_words must be at least 1")
        if self.max_ngrams < 10:
            mistakes.append("max_ngrams must be at least 10")
        if mistakes:
            raise ConfigError("personal options: " + "; ".join(mistakes))


class Continuations:
    """Words and how heavy each is after one context.

    All masses decay alike, so their order changes only when something is added; the best words for beginnings that many
    words share are kept between queries.

    Args:
        masses: of folded words; not copied.

    Attributes:
        masses: the same.
        total: of all of them.
    """

    def __init__(self, masses: dict[str, float] | None = None) -> None:
        self.masses = {} if masses is None else masses
        self._keys: list[str] | None = None  # sorted, once a query needs them
        self._best: dict[str, list[str]] = {}  # beginning -> heaviest words, the first _NUM_KEPT
        self.total = math.fsum(self.masses.values())

    def __len__(self) -> int:
        return len(self.masses)

    def __contains__(self, word: str) -> bool:
        return word in self.masses

    def add(self, word: str, mass: float) -> None:
        """Make a word heavier."""
        if word not in self.masses and self._keys is not None:
            insort(self._keys, word)
        self.masses[word] = self.masses.get(word, 0.0) + mass
        self.total += mass
        for length in range(len(word) + 1):
            best = self._best.get(word[:length])
            if best is not None:
                if word not in best:
                    best.append(word)
                best.sort(key=self._rank)
                del best[_NUM_KEPT:]

    def best(self, prefix: str, num: int) -> list[str]:
        """Return the heaviest words that begin with `prefix` (folded), the heaviest first."""
        if len(self.masses) <= _NUM_SCANNED:
            found = [word for word in self.masses if word.startswith(prefix)] if prefix else list(self.masses)
            return sorted(found, key=self._rank)[:num]
        if num <= _NUM_KEPT and (kept := self._best.get(prefix)) is not None:
            return kept[:num]
        if self._keys is None:
            self._keys = sorted(self.masses)
        first = bisect_left(self._keys, prefix)
        words = self._keys[first : bisect_left(self._keys, prefix + _LAST, first)]
        best = nsmallest(max(num, _NUM_KEPT), words, self._rank)
        if len(words) > _NUM_SCANNED:
            self._best[prefix] = best[:_NUM_KEPT]
        return best[:num]

    def _rank(self, word: str) -> tuple[float, str]:
        return -self.masses[word], word


class Interpolation:
    """The orders of one context and their shares of a mixture; the rest is the language model's.

    Args:
        tables: continuations of the contexts, by order.
        scale: how much a mass of 1 counts now.
        options: caps and escapes.

    Attributes:
        weight: the share of all orders, from 0 to below 1.
        joints: what `joint` said of words, by whatever the asker calls them: from one letter to the next many stay.
    """

    def __init__(self, tables: Mapping[int, Continuations], scale: float, options: PersonalOptions) -> None:
        self._orders: list[tuple[Continuations, float]] = []  # with the part of the mixture that a mass of 1 has
        self.weight = 0.0
        self.joints: dict[str, float] = {}
        left = 1.0
        for order in sorted(tables, reverse=True):
            table = tables[order]
            count = table.total * scale
            if count > 0:
                share = options.caps[order - 1] * count / (count + options.escapes[order - 1])
                self._orders.append((table, left * share / table.total))
                self.weight += left * share
                left *= 1 - share

    def joint(self, word: str) -> float:
        """Return a folded word's part of the mixture: `weight` times its personal probability."""
        part = 0.0
        for table, factor in self._orders:
            part += factor * table.masses.get(word, 0.0)
        return part

    def best(self, prefix: str, num: int) -> list[str]:
        """Return the most probable words among the heaviest of each order, the most probable first."""
        joints = {}
        for table, _ in self._orders:
            for word in table.best(prefix, max(num, _NUM_POOLED)):
                if word not in joints:
                    joints[word] = self.joint(word)
        return sorted(joints, key=lambda word: (-joints[word], word))[:num]
