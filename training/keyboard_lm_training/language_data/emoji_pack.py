"""Makes a language's emoji file from CLDR's annotations and a table of popular emoji of our own.

    python -m keyboard_lm_training.language_data.emoji_pack keyboard_lm/languages/en annotations.json

A word stands for an emoji if it is its name or one of its keywords. Words that would offer an emoji all the time have
none: those of up to two letters, those that are keywords of many emoji (``face``, ``sign``), and very frequent ones,
unless the table of popular emoji gives them; and offensive ones.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from keyboard_lm.errors import DataError
from keyboard_lm.text.form import token_kind
from keyboard_lm.words.emoji import EMOJI_FILE
from keyboard_lm.words.lexicon import LEXICON_FILE, Lexicon, read_lexicon

POPULAR_FILE = "emoji_popular.tsv"
_MOST_EMOJI = 8  # of which a word may be a keyword
_MOST_FREQUENT = {1: 150, 2: 120}  # on the lexicon's scale: of an emoji's name, and of a keyword
_LEAST_LETTERS = 3
_NUM_KEPT = 2  # emoji of one word
_PRESENTATION = "\ufe0f"
_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def qualified(emoji: str) -> str:
    """Return an emoji as keyboards write it: CLDR leaves out the selectors of those that may be shown as text."""
    parts = []
    for part in emoji.split(_JOINER):
        is_sign = len(part) == 1 and unicodedata.category(part) != "Cn" and unicodedata.east_asian_width(part) != "W"
        parts.append(part + _PRESENTATION if is_sign else part)
    return _JOINER.join(parts)


def read_annotations(content: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Read CLDR's ``annotations.json``: of each emoji without a skin tone its name and its keywords.

    Raises:
        DataError: the content is something else.
    """
    try:
        rows = json.loads(content)["annotations"]["annotations"]
        found = {qualified(key): (row["tts"][0], tuple(row["default"])) for key, row in rows.items() if "tts" in row}
    except (ValueError, KeyError, TypeError, IndexError):
        raise DataError("not an annotations.json of CLDR; take cldr-annotations-full/annotations/<language>") from None
    return {
        emoji: row
        for emoji, row in found.items()
        if token_kind(emoji) == "emoji" and not any(ord(char) in _SKIN_TONES for char in emoji)
    }


def read_popular(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read the table of popular emoji: the emoji, a tab, its words."""
    rows = (line.rstrip("\n").split("\t") for line in lines if line.strip() and not line.startswith("#"))
    return {row[0]: tuple(row[1].split()) for row in rows}


def emoji_by_word(
    annotations: Mapping[str, tuple[str, Sequence[str]]], popular: Mapping[str, Sequence[str]], lexicon: Lexicon
) -> dict[str, list[str]]:
    """Return the emoji of each word, the most fitting first: by our table, by name, then popular ones first."""
    rank = {emoji: place for place, emoji in enumerate([*popular, *annotations])}
    counts = Counter(word for _, keywords in annotations.values() for word in set(keywords))
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for emoji, words in popular.items():
        for place, word in enumerate(words):
            found.setdefault(word, {})[emoji] = (0, rank[emoji] + 1000 * place)
    popular_words = frozenset(found)
    for emoji, (name, keywords) in annotations.items():
        for word in {name.lower(), *(keyword.lower() for keyword in keywords)}:
            if not word.isalpha() or len(word) < _LEAST_LETTERS or lexicon.is_offensive(word):
                continue
            order = 1 if word == name.lower() else 2
            is_general = counts[word] > _MOST_EMOJI or lexicon.frequency(word) > _MOST_FREQUENT[order]
            if not is_general or word in popular_words:
                found.setdefault(word, {}).setdefault(emoji, (order, rank[emoji]))
    return {word: sorted(emoji, key=emoji.__getitem__)[:_NUM_KEPT] for word, emoji in sorted(found.items())}


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("annotations", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(folder: Path, annotations: Path) -> None:
    """Write FOLDER/emoji.tsv from ANNOTATIONS and the table of popular emoji in FOLDER."""
    popular = read_popular((folder / POPULAR_FILE).read_text(encoding="utf-8").splitlines())
    words = emoji_by_word(
        read_annotations(annotations.read_text(encoding="utf-8")),
        popular,
        read_lexicon((folder / LEXICON_FILE).read_bytes()),
    )
    lines = [f"{word}\t{' '.join(emoji)}\n" for word, emoji in words.items()]
    (folder / EMOJI_FILE).write_text("".join(lines), encoding="utf-8")
    click.echo(f"{len(words)} words", err=True)


if __name__ == "__main__":
    main()
