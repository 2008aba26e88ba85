"""Make Presage's database of n-grams from a corpus with Presage's own tool, text2ngram.

    apt-get install presage
    python tests/benchmarks/peers/train_presage.py --corpus FOLDER --database DB [--every 35] [--min-count 2]

FOLDER holds .txt or .txt.xz files. `README.md` has the times, and why n-grams may be left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from presage import PACKAGES, PeerError, join_contractions
from word_list import corpus_files, read_chunks

from keyboard_lm.errors import KeyboardLMError

CARDINALITIES = (1, 2, 3)  # as many as /etc/presage.xml has weights for


def write_texts(corpus: Path, folder: Path, every: int) -> list[Path]:
    """Write the corpus as text2ngram is to read it: plain quotes, contractions in one token.

    Args:
        corpus: folder of text files.
        folder: what is written goes here, one file for each.
        every: of the lines of each file, one in so many is kept.

    Raises:
        DataError: the corpus has no text file.
    """
    texts = []
    for file in corpus_files(corpus):
        text = folder / file.name.removesuffix(".xz")
        with text.open("w", encoding="utf-8") as output:
            for chunk in read_chunks(file, every):
                output.write(join_contractions(chunk))
        texts.append(text)
    return texts


def count_ngrams(texts: Sequence[Path], database: Path) -> None:
    """Count n-grams into a new database.

    Raises:
        PeerError: text2ngram is missing or fails.
    """
    tool = shutil.which("text2ngram")
    if tool is None:
        raise PeerError(f"text2ngram is not installed; run: {PACKAGES}")
    for n in CARDINALITIES:
        begun = time.monotonic()
        command = [tool, "--ngrams", str(n), "--lowercase", "--format", "sqlite", "--output", str(database)]
        if returncode := subprocess.run([*command, *texts], stdout=subprocess.DEVNULL).returncode:
            raise PeerError(f"text2ngram --ngrams {n} ended with status {returncode}; is there memory and disk enough?")
        print(f"{n}-grams: {time.monotonic() - begun:.0f} s", file=sys.stderr)


def prune(database: Path, min_count: int) -> None:
    """Delete the n-grams that occur less than `min_count` times."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for n in CARDINALITIES:
            connection.execute(f"DELETE FROM _{n}_gram WHERE count < ?", (min_count,))
        connection.execute("VACUUM")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True, help="folder of .txt or .txt.xz files")
    parser.add_argument("--database", type=Path, required=True, help="to be made")
    parser.add_argument("--every", type=int, default=1, help="keep one line in so many of each file")
    parser.add_argument("--min-count", type=int, default=1, help="leave out n-grams that occur less often")
    options = parser.parse_args()
    options.database.parent.mkdir(parents=True, exist_ok=True)
    partial = options.database.with_name(options.database.name + ".partial")
    partial.unlink(missing_ok=True)  # of a run that was killed: text2ngram would stop at its rows
    try:
        with tempfile.TemporaryDirectory(dir=options.database.parent) as folder:
            count_ngrams(write_texts(options.corpus, Path(folder), options.every), partial)
        if options.min_count > 1:
            prune(partial, options.min_count)
    except KeyboardLMError as error:
        raise SystemExit(f"error: {error}") from None
    os.replace(partial, options.database)
    print(f"{options.database}: {options.database.stat().st_size / 1e6:.0f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
