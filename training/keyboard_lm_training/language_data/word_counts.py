"""How often each word stands in a corpus, and in how many of its files.

python -m keyboard_lm_training.language_data.word_counts FOLDER -o word_counts.tsv
"""

from __future__ import annotations

import lzma
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click

from keyboard_lm.files import write_text_whole

_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:'[A-Za-z]+)*")
_CHUNK_BYTES = 16_000_000


class Count(NamedTuple):
    """Of one word, as cased: how often, and in how many files."""

    times: int
    files: int


def count_words(folder: Path) -> dict[str, Count]:
    """Count the words of a folder's ``.txt`` and ``.txt.xz`` files."""
    times: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for path in sorted([*folder.glob("*.txt"), *folder.glob("*.txt.xz")]):
        here: Counter[str] = Counter()
        with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as file:
            while lines := file.readlines(_CHUNK_BYTES):
                here.update(_WORD.findall(b"".join(lines).decode("utf-8").replace("\u2019", "'")))
        times.update(here)
        files.update(here.keys())
    return {word: Count(num, files[word]) for word, num in times.items()}


def read_counts(text: str) -> dict[str, Count]:
    """Read what the command wrote."""
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {word: Count(int(times), int(files)) for word, times, files in rows}


def to_text(counts: Mapping[str, Count], least: int) -> str:
    """Return words and counts, the most frequent first."""
    rows = sorted(((-count.times, word, count.files) for word, count in counts.items() if count.times >= least))
    return "".join(f"{word}\t{-times}\t{files}\n" for times, word, files in rows)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--least", default=4, show_default=True, help="Rarer words are left out.")
def main(folder: Path, output: Path, least: int) -> None:
    """Count the words of FOLDER's texts."""
    write_text_whole(output, to_text(count_words(folder), least))


if __name__ == "__main__":
    main()
