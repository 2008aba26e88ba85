"""Makes a language's lexicon file from word lists of the Android Open Source Project and two tables of our own.

    python -m keyboard_lm_training.language_data.lexicon_pack keyboard_lm/languages/en en_US_wordlist.combined.gz \\
        en_GB_wordlist.combined.gz --more chat_words.tsv --contractions contractions.tsv
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from keyboard_lm.errors import DataError
from keyboard_lm.files import write_file_whole
from keyboard_lm.text.case import fold
from keyboard_lm.words.lexicon import LEXICON_FILE, Entry, build_lexicon


def read_combined(lines: Iterable[str]) -> list[Entry]:
    """Read the words of a `.combined` file: ``word=the,f=222,flags=,originalFreq=222``.

    Raises:
        DataError: a word line lacks its frequency.
    """
    entries = []
    for number, line in enumerate(lines, 1):
        if not line.startswith(" word="):
            continue
        fields = dict(part.split("=", 1) for part in line.strip().split(",") if "=" in part)
        marks = (fields.get(name) == "true" for name in ("possibly_offensive", "not_a_word"))
        try:
            entries.append(Entry(fields["word"], int(fields["f"]), *marks))
        except (KeyError, ValueError):
            raise DataError(f"line {number}: a word needs word= and f=, not {line.strip()!r}") from None
    return entries


def merge(lists: Iterable[Iterable[Entry]], miswritten: Iterable[str]) -> list[Entry]:
    """Put several lists together; of equal words the first list's counts.

    Args:
        lists: of words, the most important first.
        miswritten: what is no word but is written for one, whatever the lists say.
    """
    words: dict[str, Entry] = {}
    for entries in lists:
        for entry in entries:
            words.setdefault(entry.text, entry)
    words |= {text: Entry(text, 0, is_miswritten=True) for text in miswritten}
    # Android marks "london" and "i" as no words to have them capitalised, which "London" and "I" see to.
    proper = {fold(text) for text, entry in words.items() if text != fold(text) and entry.frequency}
    return [entry for text, entry in words.items() if not (entry.is_miswritten and text in proper)]


def _read_table(path: Path) -> list[Mapping[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = (line for line in file if not line.startswith("#"))
        return list(csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE))


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("word_lists", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--more", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Words: word, f.")
@click.option(
    "--contractions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Contractions without apostrophe: typed, meant, ambiguous.",
)
def main(folder: Path, word_lists: tuple[Path, ...], more: Path | None, contractions: Path | None) -> None:
    """Write FOLDER's lexicon from Android's WORD_LISTS (gzip)."""
    lists = [[Entry(row["word"], int(row["f"])) for row in (_read_table(more) if more else ())]]
    for path in word_lists:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            lists.append(read_combined(lines))
    forms = [row["typed"] for row in (_read_table(contractions) if contractions else ()) if row["ambiguous"] != "yes"]
    lexicon = build_lexicon(merge(lists, forms))
    content = lexicon.to_bytes()
    write_file_whole(folder / LEXICON_FILE, content)
    click.echo(f"{len(lexicon):,} words, {len(lexicon.letters):,} nodes, {len(content):,} bytes")


if __name__ == "__main__":
    main()
