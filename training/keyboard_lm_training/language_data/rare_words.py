"""Words that no word list holds and a corpus does: names, brands, jargon, chat; and which of them are misspellings."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from keyboard_lm.text.case import fold
from keyboard_lm.words.lexicon import MAX_FREQUENCY, Entry
from keyboard_lm_training.language_data.word_counts import Count

_LOWER_CASE_SHARE = 0.15  # from which on a capital is the beginning of a sentence


@dataclass(frozen=True)
class RareWordOptions:
    """Which words of a corpus are words.

    Attributes:
        least_times: rarer ones are left out.
        least_files: so are those of fewer files: one podcast's names.
        least_letters: shorter ones of small letters are as often half of another word.
        spoiled_ratio: a name that looks like a listed word this many times as frequent is a misspelling of it; a word
            of small letters needs only to be rarer than a listed one of the same consonants, or one edit away.
    """

    least_times: int = 12
    least_files: int = 3
    least_letters: int = 3
    spoiled_ratio: float = 1000.0


@dataclass(frozen=True)
class Scale:
    """From counts to the scale of a list with frequencies: a straight line through the logarithms.

    Attributes:
        offset: frequency of a word counted once.
        slope: of one natural logarithm more.
    """

    offset: float
    slope: float

    @classmethod
    def fitted(cls, frequencies: Mapping[str, int], times: Mapping[str, int], least: int = 20) -> Scale:
        """Fit the line on the words that both know, in small letters."""
        points = [(math.log(times[w]), f) for w, f in frequencies.items() if f > 0 and times.get(w, 0) >= least]
        if len(points) < 2:
            return cls(0.0, 10.0)
        x = sum(point[0] for point in points) / len(points)
        y = sum(point[1] for point in points) / len(points)
        slope = sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)
        return cls(y - slope * x, slope)

    def frequency(self, times: int) -> int:
        """Return the frequency of a word counted so often; at least 1."""
        return min(max(round(self.offset + self.slope * math.log(max(times, 1))), 1), MAX_FREQUENCY)


def consonants(word: str) -> str:
    """Return a word's consonants, double ones once, and its first letter: what those who spell by ear keep."""
    rest = "".join(char for char, _ in groupby(word[1:]) if char not in "aeiouy'")
    return word[:1] + "".join(char for char, _ in groupby(rest))


def neighbours(word: str) -> Iterator[str]:
    """Yield words one edit away: a letter left out, doubled back, swapped or replaced; and two words written apart."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    for i in range(len(word) + 1):
        left, right = word[:i], word[i:]
        if right:
            yield left + right[1:]
            yield from (left + letter + right[1:] for letter in letters if letter != right[0])
        if len(right) > 1:
            yield left + right[1] + right[0] + right[2:]
        yield from (left + letter + right for letter in letters)
        if left and right:
            yield left + "'" + right


def rare_words(
    counts: Mapping[str, Count], known: Iterable[Entry], misspellings: frozenset[str], options: RareWordOptions
) -> list[Entry]:
    """Return the corpus's words that are not known yet, with frequencies on the known ones' scale.

    Args:
        counts: of the corpus, as cased.
        known: words of the lists.
        misspellings: that some list of misspellings names, folded.
        options: which words are words.
    """
    times: Counter[str] = Counter()
    variants: dict[str, list[str]] = defaultdict(list)
    for word, count in counts.items():
        times[fold(word)] += count.times
        variants[fold(word)].append(word)
    frequencies: dict[str, int] = {}
    for entry in known:
        key = fold(entry.text)
        frequencies[key] = max(frequencies.get(key, 0), entry.frequency)
    scale = Scale.fitted(frequencies, times)
    heard: dict[str, int] = {}
    for key in frequencies:
        heard[consonants(key)] = max(heard.get(consonants(key), 0), times[key])
    found = []
    for key, written in variants.items():
        if key in frequencies or key in misspellings or not key.isascii() or times[key] < options.least_times:
            continue
        text = _main_variant(written, counts, times[key])
        if counts[text].files < options.least_files or (text == key and len(key) < options.least_letters):
            continue
        is_heard = text == key and heard.get(consonants(key), 0) > times[key]
        if len(key) < 2 or is_heard or _is_spoiled(key, text, times, frequencies, options.spoiled_ratio):
            continue
        found.append(Entry(text, scale.frequency(times[key])))
    return found


def _main_variant(written: list[str], counts: Mapping[str, Count], total: int) -> str:
    lower = fold(written[0])
    if lower in counts and counts[lower].times >= _LOWER_CASE_SHARE * total:
        return lower
    return max(written, key=lambda word: (counts[word].times, word))


def _is_spoiled(key: str, text: str, times: Mapping[str, int], listed: Mapping[str, int], ratio: float) -> bool:
    most = max((times.get(near, 0) for near in neighbours(key) if listed.get(near, 0) > 0), default=0)
    if text == key:
        ratio = 1.0
    is_joined = any(
        times.get(key[:i], 0) > 2000 and times.get(key[i:], 0) > 2000 and min(i, len(key) - i) > 1
        for i in range(1, len(key))
    )
    return most >= ratio * times[key] or (is_joined and text == key)
