"""Makes a language's lexicon file from word lists, the words of a corpus and three tables of our own.

    python -m keyboard_lm_training.language_data.lexicon_pack keyboard_lm/languages/en en_US_wordlist.combined.gz \\
        en_GB_wordlist.combined.gz --more chat_words.tsv --contractions contractions.tsv --hunspell en_US.dic \\
        --names first_names.txt --names words_of_today.txt --counts word_counts.tsv --misspellings misspellings.txt

Android's lists have the frequencies. Hunspell's words come in with those they have in the corpus, names and words of
today with theirs; last the corpus's own words, as far as they look like no misspelling of a word a hundred times as
frequent.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import click

from keyboard_lm.errors import DataError
from keyboard_lm.files import write_file_whole
from keyboard_lm.text.case import fold
from keyboard_lm.words.lexicon import HIDDEN, LEXICON_FILE, Entry, build_lexicon
from keyboard_lm_training.language_data.hunspell_words import expanded, read_affixes
from keyboard_lm_training.language_data.rare_words import RareWordOptions, Scale, rare_words
from keyboard_lm_training.language_data.tables import table_rows
from keyboard_lm_training.language_data.word_counts import Count, read_counts


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
    """Put several lists together; of equal words the first list's marks count, and the highest frequency.

    Args:
        lists: of words, the most important first.
        miswritten: what is no word but is written for one, whatever the lists say.
    """
    words: dict[str, Entry] = {}
    for entries in lists:
        for entry in entries:
            known = words.setdefault(entry.text, entry)
            if known.frequency < entry.frequency and known.flags in (0, HIDDEN):
                words[entry.text] = replace(known, frequency=entry.frequency)
    words |= {text: Entry(text, 0, is_miswritten=True) for text in miswritten}
    # Android marks "london" and "i" as no words to have them capitalised, which "London" and "I" see to.
    proper = {fold(text) for text, entry in words.items() if text != fold(text) and entry.frequency}
    return [entry for text, entry in words.items() if not (entry.is_miswritten and text in proper)]


def add_listed(entries: list[Entry], words: Iterable[str], counts: Mapping[str, Count]) -> list[Entry]:
    """Return words of lists without frequencies, as far as they are new, with those they have in a corpus."""
    frequencies = {fold(entry.text): entry.frequency for entry in entries}
    times: Counter[str] = Counter()
    for word, count in counts.items():
        times[fold(word)] += count.times
    scale = Scale.fitted(frequencies, times)
    known = {entry.text for entry in entries} | {fold(entry.text) for entry in entries}
    new = dict.fromkeys(word for word in words if word not in known and fold(word) not in known)
    return [Entry(word, scale.frequency(times[fold(word)])) for word in new]


def without_misspellings(entries: Iterable[Entry], misspellings: frozenset[str]) -> list[Entry]:
    """Mark the words of small letters that some list names as misspellings: those are no words, however frequent."""
    return [
        Entry(entry.text, 0, entry.is_offensive, True) if entry.text in misspellings else entry for entry in entries
    ]


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    return [line for line in map(str.strip, path.read_text(encoding="utf-8-sig").splitlines()) if line[:1] != "#"]


def _read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return table_rows(file)


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("word_lists", nargs=-1, required=True, type=_FILE)
@click.option("--more", type=_FILE, help="Words: word, f.")
@click.option("--contractions", type=_FILE, help="Contractions without apostrophe: typed, meant, ambiguous.")
@click.option("--hunspell", type=_FILE, help="A .dic file beside its .aff file.")
@click.option("--names", multiple=True, type=_FILE, help="Names or other words without frequencies, one on a line.")
@click.option("--counts", type=_FILE, help="Of a corpus, as word_counts writes them.")
@click.option("--misspellings", type=_FILE, help="Letters that are no word, one on a line.")
def main(
    folder: Path,
    word_lists: tuple[Path, ...],
    more: Path | None,
    contractions: Path | None,
    hunspell: Path | None,
    names: tuple[Path, ...],
    counts: Path | None,
    misspellings: Path | None,
) -> None:
    """Write FOLDER's lexicon from Android's WORD_LISTS (gzip)."""
    lists = [[Entry(row["word"], int(row["f"])) for row in (_read_table(more) if more else ())]]
    for path in word_lists:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            lists.append(read_combined(lines))
    forms = [row["typed"] for row in (_read_table(contractions) if contractions else ()) if row["ambiguous"] != "yes"]
    entries = merge(lists, forms)
    times = read_counts(counts.read_text(encoding="utf-8")) if counts else {}
    spoiled = frozenset(_lines(misspellings))
    if hunspell is not None:
        rules = read_affixes(_lines(hunspell.with_suffix(".aff")))
        entries += add_listed(entries, expanded(_lines(hunspell), rules), times)
    for path in names:
        entries += add_listed(entries, _lines(path), times)
    entries += rare_words(times, entries, spoiled, RareWordOptions())
    lexicon = build_lexicon(without_misspellings(entries, spoiled))
    content = lexicon.to_bytes()
    write_file_whole(folder / LEXICON_FILE, content)
    click.echo(f"{len(lexicon):,} words, {len(lexicon.letters):,} nodes, {len(content):,} bytes")


if __name__ == "__main__":
    main()
