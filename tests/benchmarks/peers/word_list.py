"""A list of words by frequency: read from a file, or counted in a corpus once."""

from __future__ import annotations

import lzma
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from keyboard_lm.errors import DataError

MIN_COUNT = 2  # what occurs once is mostly a slip, and half of the list
CHUNK_CHARS = 1 << 22
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
# Between words or after a comma a capital is the word's own; elsewhere it may be the sentence's.
_WORD_INSIDE = re.compile(rf"(?<=[\w,] ){_WORD.pattern}")
_TYPOGRAPHIC = {
    "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u2026": "...",
}  # fmt: skip


def read_word_list(path: Path) -> list[str]:
    """Return the words of a frequency list, the most frequent first, as they are written inside a sentence.

    A line is a word and a number, by a tab or a blank; more columns and a heading are passed over. Words of frequency
    0 are left out (the AOSP list has those that must not be offered).

    Raises:
        DataError: the file cannot be read, or has no such line.
    """
    frequencies: dict[str, float] = {}
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for line in lines:
                word, frequency, *_ = [*line.rstrip("\n").replace("\t", " ", 2).split(" "), ""]
                if frequency.replace(".", "", 1).isdecimal() and float(frequency) > 0:
                    frequencies.setdefault(word, float(frequency))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not frequencies:
        raise DataError(f"{path}: no line of it is a word and its frequency")
    return sorted(frequencies, key=frequencies.__getitem__, reverse=True)  # a stable order: ties stay as in the file


def count_words(corpus: Path, path: Path) -> None:
    """Write the frequency list of a folder's ``.txt`` and ``.txt.xz`` files.

    Words that differ in case alone are counted as one, written as they are most often inside sentences.

    Raises:
        DataError: there is no such file in the folder.
    """
    everywhere: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for text in chain.from_iterable(map(read_chunks, corpus_files(corpus))):
        everywhere.update(_WORD.findall(text))
        inside.update(_WORD_INSIDE.findall(text))
    totals: Counter[str] = Counter()
    written: dict[str, str] = {}
    for word, count in everywhere.items():
        folded = word.lower()
        totals[folded] += count
        other = written.setdefault(folded, word)
        if (inside[word], count, word) > (inside[other], everywhere[other], other):
            written[folded] = word
    ranked = sorted((-count, written[folded]) for folded, count in totals.items() if count >= MIN_COUNT)
    write_lines(path, (f"{word}\t{-negative}\n" for negative, word in ranked))


def corpus_files(corpus: Path) -> list[Path]:
    """Return a folder's ``.txt`` and ``.txt.xz`` files by name.

    Raises:
        DataError: there is none.
    """
    files = sorted([*corpus.glob("*.txt"), *corpus.glob("*.txt.xz")])
    if not files:
        raise DataError(f"{corpus}: no .txt or .txt.xz file in this folder")
    return files


def read_chunks(file: Path, every: int = 1) -> Iterator[str]:
    """Yield a file as long pieces of whole lines with plain quotes and dashes; of its lines, one in `every`."""
    opener = lzma.open if file.suffix == ".xz" else open
    with opener(file, "rt", encoding="utf-8") as source:
        kept = (line for number, line in enumerate(source) if number % every == 0) if every > 1 else source
        pending: list[str] = []
        num_chars = 0
        for line in kept:
            pending.append(line)
            num_chars += len(line)
            if num_chars >= CHUNK_CHARS:
                yield plain("".join(pending))
                pending, num_chars = [], 0
        yield plain("".join(pending))


def plain(text: str) -> str:
    """Return `text` with ASCII quotes, dashes and points."""
    for typographic, ascii_form in _TYPOGRAPHIC.items():
        text = text.replace(typographic, ascii_form)
    return text


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file under a temporary name and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.writelines(lines)
    os.replace(partial, path)
