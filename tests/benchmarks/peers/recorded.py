"""Recorded misspellings, half to fit on and half to judge by, alone and set into sentences."""

from __future__ import annotations

import difflib
import json
import random
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from keyboard_lm.evaluation.replay import read_replay
from keyboard_lm.text.form import normalise

LISTS = ("aspell", "wikipedia", "norvig_testset1", "norvig_testset2", "birkbeck", "codespell")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_LETTERS = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
_MOST_OF_A_WORD = 8  # sentences kept for each


@dataclass(frozen=True)
class Misspelling:
    """What somebody wrote for a word.

    Attributes:
        typed: as it was written.
        meant: the word.
        context: the text before it; ``""`` where none is known.
    """

    typed: str
    meant: str
    context: str = ""

    @property
    def is_contraction(self) -> bool:
        """Whether the word has an apostrophe: a matter of its own."""
        return "'" in self.meant


def is_judged(word: str) -> bool:
    """Return whether a word belongs to the half to judge by; what ships was fitted on misspellings of the others."""
    return zlib.crc32(word.lower().encode()) % 2 == 1


def read_list(folder: Path, name: str, judged: bool = True) -> list[Misspelling]:
    """Return the half of a list, words written together or apart left out: those are no spelling."""
    rows = {}
    for line in (folder / f"misspell_{name}.tsv").read_text(encoding="utf-8").splitlines():
        typed, _, meant = map(normalise, line.partition("\t"))
        if _LETTERS.fullmatch(typed) and _LETTERS.fullmatch(meant) and typed != meant and is_judged(meant) == judged:
            rows[typed, meant] = Misspelling(typed, meant)
    return list(rows.values())


def sentences_of(texts: Iterable[Path]) -> dict[str, list[str]]:
    """Return, for each word in small letters, beginnings of sentences that it goes on; never an empty one."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(texts):
        for line in path.read_text(encoding="utf-8").splitlines():
            line = normalise(line)
            for match in _WORD.finditer(line):
                if match.start() and len(kept := found[match.group().lower()]) < _MOST_OF_A_WORD:
                    kept.append(line[: match.start()])
    return found


def in_sentences(
    misspellings: Iterable[Misspelling], sentences: dict[str, list[str]], rng: random.Random
) -> Iterator[Misspelling]:
    """Yield misspellings behind the true beginning of a sentence that holds the word, as far as there is one."""
    for each in misspellings:
        if beginnings := sentences.get(each.meant.lower()):
            yield Misspelling(each.typed, each.meant, rng.choice(beginnings))


def of_learners(path: Path) -> Iterator[Misspelling]:
    """Yield the misspellings of JFLEG's learners: words that all four rewriters replaced by the same similar one."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        source = normalise(row["src"])
        words = list(_WORD.finditer(source))
        meant: dict[int, set[str]] = defaultdict(set)
        for reference in row["refs"]:
            others = _WORD.findall(normalise(reference))
            matcher = difflib.SequenceMatcher(
                None, [word.group().lower() for word in words], list(map(str.lower, others))
            )
            for tag, i1, i2, j1, j2 in matcher.get_opcodes():
                for i in range(i1, i2):
                    same = tag in ("equal", "replace") and i2 - i1 == j2 - j1
                    meant[i].add(others[j1 + i - i1].lower() if same else "")
        for i, found in meant.items():
            typed = words[i].group()
            word = found.pop() if len(found) == 1 else ""
            is_misspelt = word not in ("", typed.lower()) and is_judged(word)
            if is_misspelt and difflib.SequenceMatcher(None, typed.lower(), word).ratio() >= 0.6:
                yield Misspelling(typed, word, source[: words[i].start()])


def of_typists(path: Path, judged: bool = True) -> Iterator[Misspelling]:
    """Yield words that the typists of the Aalto study left wrong at first, behind the text they copied; one half."""
    for person in read_replay(path):
        for unit in person:
            is_letters = _LETTERS.fullmatch(unit.typed) and _LETTERS.fullmatch(unit.intended)
            if is_letters and unit.typed.lower() != unit.intended.lower() and is_judged(unit.intended) == judged:
                yield Misspelling(unit.typed, unit.intended, unit.context)
