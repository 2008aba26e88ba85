"""The words of a language as a trie in flat arrays: what is known, how frequent it is, what is not to be suggested."""

from __future__ import annotations

import io
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib import resources
from itertools import repeat
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import ConfigError
from keyboard_lm.text.case import fold

LEXICON_FILE = "lexicon.npz"
ROOT = 0
MAX_FREQUENCY = 255
OFFENSIVE, HIDDEN, MISWRITTEN = 1, 2, 4  # bits of an entry's flags
_COLUMNS = ("letters", "num_children", "num_entries", "capitals", "frequencies", "flags")  # of the file
_BEST = "best_frequency"  # a column that follows from the others; files without it can be read
_NAMES = ("alphabet", *_COLUMNS, _BEST)
_MAX_LETTERS = 64  # of a word: its capitals are the bits of one integer
_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True)
class Entry:
    """A word of a lexicon.

    Attributes:
        text: as cased inside a sentence.
        frequency: 0 to 255, on a log scale; 0 for words that are known and never offered.
        is_offensive: whether the word must not be offered, however likely.
        is_miswritten: whether it is no word but what people write for one (``im``, ``alot``).
    """

    text: str
    frequency: int
    is_offensive: bool = False
    is_miswritten: bool = False

    @property
    def flags(self) -> int:
        """The bits that a lexicon keeps."""
        return OFFENSIVE * self.is_offensive + HIDDEN * (not self.frequency) + MISWRITTEN * self.is_miswritten


class Lexicon:
    """Known words, by their folded letters (see `keyboard_lm.text.case.fold`).

    Nodes of the trie are numbered breadth first, so that the children of a node lie side by side, behind those of the
    node before it.

    Args:
        alphabet: the letters; a letter's number is its place plus 1, 0 stands for the root.
        letters: number of the letter on the edge to each node, (N,); that of the root is 0.
        num_children: of each node, (N,).
        num_entries: how many words end at each node, (N,).
        capitals: which letters of each entry are capitals, lowest bit first, (E,).
        frequencies: of each entry, 0 to 255, (E,).
        flags: `OFFENSIVE`, `HIDDEN` and `MISWRITTEN` of each entry, (E,).
        best_frequency: see below; None to find it out, which takes as long as all else.

    Attributes:
        first_child: the children of node n are ``first_child[n]`` to ``first_child[n + 1]``, (N + 1,).
        first_entry: the same of its entries, (N + 1,).
        best_frequency: the highest of any offered word at or below a node, (N,).

    Raises:
        ConfigError: the arrays do not fit together.
    """

    def __init__(
        self,
        alphabet: str,
        letters: NDArray[np.uint8],
        num_children: NDArray[np.uint8],
        num_entries: NDArray[np.uint8],
        capitals: NDArray[np.uint64],
        frequencies: NDArray[np.uint8],
        flags: NDArray[np.uint8],
        best_frequency: NDArray[np.uint8] | None = None,
    ) -> None:
        if not len(letters) == len(num_children) == len(num_entries) == int(num_children.sum(dtype=np.int64)) + 1:
            raise ConfigError("the lexicon's nodes do not make a tree; build the file again")
        if not int(num_entries.sum(dtype=np.int64)) == len(capitals) == len(frequencies) == len(flags):
            raise ConfigError("the lexicon's columns are of different lengths; build the file again")
        self.alphabet = alphabet
        self.letters = letters
        self.capitals, self.frequencies, self.flags = capitals, frequencies, flags
        self.first_child = _firsts(num_children, 1)
        self.first_entry = _firsts(num_entries, 0)
        if best_frequency is not None and len(best_frequency) != len(letters):
            raise ConfigError("the lexicon's columns are of different lengths; build the file again")
        self.best_frequency = self._best_frequencies() if best_frequency is None else best_frequency
        self._number_of = {letter: number for number, letter in enumerate(alphabet, 1)}
        # One element of an array costs several times as much as one of these.
        self._letters = letters.tobytes()
        self._first_child, self._first_entry = self.first_child.data, self.first_entry.data
        self.entries_of = lru_cache(maxsize=16384)(self._entries_of)
        self.text = lru_cache(maxsize=16384)(self._text)
        self.prefix = lru_cache(maxsize=16384)(self._prefix)
        self.known = lru_cache(maxsize=16384)(self._known)
        self.is_offensive = lru_cache(maxsize=16384)(self._is_offensive)

    def __len__(self) -> int:
        return len(self.frequencies)

    @cached_property
    def nodes(self) -> NDArray[np.int32]:
        """Where each entry ends, ascending, (E,)."""
        return np.repeat(np.arange(len(self.letters), dtype=np.int32), np.diff(self.first_entry))

    @cached_property
    def parents(self) -> NDArray[np.int32]:
        """The parent of each node, that of the root itself, (N,)."""
        parents = np.repeat(np.arange(len(self.letters), dtype=np.int32), np.diff(self.first_child))
        return np.concatenate((np.array([ROOT], np.int32), parents))

    def _known(self, word: str) -> bool:
        """Return whether `word` is a word as it is cased, or with a sentence's capital, or in capitals throughout."""
        return any(word in (text, text[:1].upper() + text[1:], text.upper()) for text in self._spellings(word))

    def frequency(self, word: str) -> int:
        """Return the frequency (0 to 255, log scale) of a word in whichever case has the highest; 0 if not known."""
        return max((int(self.frequencies[entry]) for entry in self.entries_of(word)), default=0)

    def _is_offensive(self, word: str) -> bool:
        """Return whether a word must not be offered, in any case but that of another word (``John`` may be)."""
        offensive: set[str] = set()
        harmless: set[str] = set()
        for entry in self.entries_of(word):
            (offensive if self.flags[entry] & OFFENSIVE else harmless).add(self.text(entry))
        if word in offensive or word in harmless:
            return word in offensive
        return bool(offensive) and all(word != text.upper() for text in harmless)

    def is_miswritten(self, word: str) -> bool:
        """Return whether a word, in any case, is what people write for another."""
        return any(bool(self.flags[entry] & MISWRITTEN) for entry in self.entries_of(word))

    def is_marked_miswritten(self, entry: int) -> bool:
        """Return whether an entry is no word but what people write for one."""
        return bool(self.flags[entry] & MISWRITTEN)

    def node_of(self, folded: str) -> int | None:
        """Return the trie's node that folded letters lead to; None where no word begins with them."""
        node = self.below(ROOT, map(self._number_of.get, folded, repeat(0)))
        return node if node >= 0 else None

    def number_of(self, letter: str) -> int:
        """Return the number of a folded letter; 0, which leads nowhere, for one that no word has."""
        return self._number_of.get(letter, 0)

    def below(self, node: int, numbers: Iterable[int]) -> int:
        """Return where letters, by their numbers, lead to from a node; -1 where no word goes on with them."""
        letters, firsts = self._letters, self._first_child
        for number in numbers:
            node = letters.find(number, firsts[node], firsts[node + 1])
            if node < 0:
                return -1
        return node

    def _entries_of(self, word: str) -> range:
        """Return the numbers of the entries that differ from `word` in case at most."""
        node = self.node_of(fold(word))
        return range(self._first_entry[node], self._first_entry[node + 1]) if node is not None else range(0)

    def _prefix(self, node: int) -> str:
        """Return the folded letters on the way to a node."""
        if node == ROOT:
            return ""
        parent = bisect_right(self._first_child, node) - 1  # the last node whose children begin here or before
        before = "" if parent == ROOT else self.prefix(parent)
        return before + self.alphabet[self._letters[node] - 1]

    def _text(self, entry: int) -> str:
        """Return the word of an entry, as cased."""
        folded = self.prefix(bisect_right(self._first_entry, entry) - 1)
        capitals = int(self.capitals[entry])
        if not capitals:
            return folded
        return "".join(char.upper() if capitals >> i & 1 else char for i, char in enumerate(folded))

    def numbers(self, folded: str) -> NDArray[np.uint8]:
        """Return the letters' numbers of a folded text; 0 for those that no word has."""
        return np.array([self._number_of.get(letter, 0) for letter in folded], np.uint8)

    def _spellings(self, word: str) -> Iterator[str]:
        return (self.text(entry) for entry in self.entries_of(word) if not self.flags[entry] & MISWRITTEN)

    def _best_frequencies(self) -> NDArray[np.uint8]:
        best = np.zeros(len(self.letters), np.uint8)
        offered = np.where(self.flags == 0, self.frequencies, 0)
        ending = (self.first_entry[1:] > self.first_entry[:-1]).nonzero()[0]  # nodes where words end
        if len(ending):
            best[ending] = np.maximum.reduceat(offered, self.first_entry.take(ending))
        levels = [ROOT, 1]
        while levels[-1] < len(best):
            levels.append(int(self.first_child[levels[-1]]))
        for above, first, end in zip(reversed(levels[:-2]), reversed(levels[1:-1]), reversed(levels[2:]), strict=True):
            firsts = self.first_child[above:first]  # of the nodes above
            places = (self.first_child[above + 1 : first + 1] > firsts).nonzero()[0]
            of_children = np.maximum.reduceat(best[first:end], firsts.take(places) - first)
            best[above:first][places] = np.maximum(best[above:first].take(places), of_children)
        return best

    def to_bytes(self) -> bytes:
        """Return the file that `read_lexicon` reads.

        An archive of arrays as `numpy.savez` writes it, the same bytes every time. Only the capitals, most of which
        are none, are compressed: a keyboard is opened more often than a lexicon is sent somewhere uncompressed.
        """
        sizes = (np.diff(first).astype(np.uint8) for first in (self.first_child, self.first_entry))
        columns: list[Any] = [self.letters, *sizes, self.capitals, self.frequencies, self.flags]
        alphabet = np.frombuffer(self.alphabet.encode(), np.uint8)
        named = {"alphabet": alphabet, **dict(zip(_COLUMNS, columns, strict=True)), _BEST: self.best_frequency}
        file = io.BytesIO()
        with ZipFile(file, "w") as archive:
            for name, column in named.items():
                content = io.BytesIO()
                np.save(content, np.ascontiguousarray(column), allow_pickle=False)
                method = ZIP_DEFLATED if name == "capitals" else ZIP_STORED
                archive.writestr(ZipInfo(f"{name}.npy"), content.getvalue(), method)
        return file.getvalue()


def _firsts(counts: NDArray[np.uint8], first: int) -> NDArray[np.int32]:
    # Where each of several runs begins, and where the last ends.
    firsts = np.empty(len(counts) + 1, np.int32)
    firsts[0] = first
    np.cumsum(counts, dtype=np.int32, out=firsts[1:])
    firsts[1:] += first
    return firsts


def build_lexicon(entries: Iterable[Entry]) -> Lexicon:
    """Arrange words in a trie.

    Raises:
        ConfigError: a word is empty, longer than 64 letters, or has a capital that its small letter does not give back;
            or there are more than 255 letters.
    """
    rows = sorted(((fold(entry.text), entry) for entry in entries), key=lambda row: (row[0], row[1].text))
    for folded, entry in rows:
        restored = "".join(low.upper() if low != char else char for low, char in zip(folded, entry.text, strict=True))
        if not 0 < len(folded) <= _MAX_LETTERS or restored != entry.text:
            raise ConfigError(f"{entry.text!r} cannot be in a lexicon; leave it out")
    alphabet = "".join(sorted({char for folded, _ in rows for char in folded}))
    if len(alphabet) >= np.iinfo(np.uint8).max:
        raise ConfigError(f"a lexicon has 254 letters at most, not {len(alphabet)}")
    number_of = {letter: number for number, letter in enumerate(alphabet, 1)}
    prefixes = sorted({folded[:end] for folded, _ in rows for end in range(len(folded) + 1)}, key=lambda p: (len(p), p))
    place = {prefix: node for node, prefix in enumerate(prefixes or [""])}
    num_children, num_entries = np.zeros((2, len(place)), np.uint8)
    for prefix in prefixes[1:]:
        num_children[place[prefix[:-1]]] += 1
    for folded, _ in rows:
        num_entries[place[folded]] += 1
    rows.sort(key=lambda row: place[row[0]])
    return Lexicon(
        alphabet,
        np.array([number_of[prefix[-1]] if prefix else 0 for prefix in place], np.uint8),
        num_children,
        num_entries,
        np.array([_capitals(folded, entry.text) for folded, entry in rows], np.uint64),
        np.array([entry.frequency for _, entry in rows], np.uint8),
        np.array([entry.flags for _, entry in rows], np.uint8),
    )


def _capitals(folded: str, text: str) -> int:
    return sum(1 << i for i, (low, char) in enumerate(zip(folded, text, strict=True)) if low != char)


def read_lexicon(content: bytes) -> Lexicon:
    """Read what `Lexicon.to_bytes` wrote.

    Raises:
        ConfigError: the content is no lexicon.
    """
    try:
        with np.load(io.BytesIO(content)) as arrays:
            alphabet, *columns = (arrays.get(name) if name == _BEST else arrays[name] for name in _NAMES)
            return Lexicon(alphabet.tobytes().decode(), *columns)
    except (KeyError, ValueError, OSError, EOFError, BadZipFile) as error:
        raise ConfigError(f"not a lexicon ({error}); build the file again") from None


@cache
def language_names() -> tuple[str, ...]:
    """Return the languages that ship with the package."""
    folder = resources.files("keyboard_lm").joinpath("languages")
    return tuple(sorted(file.name for file in folder.iterdir() if file.is_dir() and _LANGUAGE.fullmatch(file.name)))


@cache
def load_lexicon(language: str = "en") -> Lexicon:
    """Return the lexicon of a language that ships with the package.

    Raises:
        ConfigError: no such language; the message lists those there are.
    """
    names = language_names()
    if language not in names:
        raise ConfigError(f"no language {language!r}; choose one of: {', '.join(names)}")
    folder = resources.files("keyboard_lm").joinpath("languages")
    return read_lexicon(folder.joinpath(language, LEXICON_FILE).read_bytes())
