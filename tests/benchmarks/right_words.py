"""Right words that a space changes, and slots of the bar that hold no word.

    python tests/benchmarks/right_words.py EVAL_PUBLIC [--limit 20] [--lists WORDLIST ...] [--read FILE]

Every word of each text is typed letter by letter behind the true text before it, and then a space. Changed: its letters
are others afterwards; capitals and apostrophes do not count. Spoiled: changed, but for what somebody has read and found
to be a misspelling that the writer left (`read_changes.tsv`). Unlisted: the letters of a slot, but for the literal's,
stand in none of the lists (one word a line, or the first field of one), in small letters and without a possessive's
ending. No word: unlisted, but for what somebody has read and found to be a word or a name (`read_words.tsv`); what
nobody has read counts as none. Texts full of misspellings and slang of their own are shown apart. Prints a table and
one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.texts import EvaluationText, load_texts, sample
from keyboard_lm.keyboard.bar import Answer
from keyboard_lm.keyboard.events import FieldStarted, ShiftPressed, TextChanged, Typed
from keyboard_lm.keyboard.session import Session, SessionOptions

APART = ("tweets_semeval2017.txt", "nus_sms.txt")
_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
_PART = re.compile(r"[a-z]+")


class Counts:
    """What was typed and what came of it."""

    def __init__(self) -> None:
        self.words = self.changed = self.spoiled = self.slots = self.unlisted = self.no_words = 0
        self.examples: list[str] = []

    def add(self, other: Counts) -> None:
        """Add another text's."""
        self.words += other.words
        self.changed += other.changed
        self.spoiled += other.spoiled
        self.slots += other.slots
        self.unlisted += other.unlisted
        self.no_words += other.no_words
        self.examples += other.examples

    def numbers(self) -> tuple[int, ...]:
        """Return all counts."""
        return self.words, self.changed, self.spoiled, self.slots, self.unlisted, self.no_words

    def row(self, name: str) -> tuple[str, ...]:
        """Return a row of the table."""
        changed, spoiled = (f"{100 * num / max(self.words, 1):.2f}" for num in (self.changed, self.spoiled))
        unlisted, no_words = (f"{1e4 * num / max(self.slots, 1):.1f}" for num in (self.unlisted, self.no_words))
        return name, str(self.words), changed, spoiled, str(self.slots), unlisted, no_words


def read_lists(paths: Iterable[Path]) -> frozenset[str]:
    """Return the words of lists, in small letters."""
    words: set[str] = set()
    for path in paths:
        for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
            words.update(_PART.findall(re.split(r"[\t /]", line, maxsplit=1)[0].lower()))
    return frozenset(words)


class Known(NamedTuple):
    """What is known of words.

    Attributes:
        listed: in lists, in small letters.
        read: that no list holds and somebody has found to be words.
        misspelt: changes, as examples tell of them, of what somebody has found to be misspelt.
    """

    listed: frozenset[str]
    read: frozenset[str]
    misspelt: frozenset[str]


def read_verdicts(path: Path, good: Sequence[str]) -> frozenset[str]:
    """Return what has one of some verdicts in a file of what was read: a column of it, and one of verdicts."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return frozenset(row[0] for row in rows if row[1] in good)


def measure(session: Session, text: EvaluationText, known: Known) -> Counts:
    """Return the counts of one text."""
    counts = Counts()
    for messages in text.documents:
        for message in messages:
            for match in _WORD.finditer(message):
                if message[match.start() - 1 : match.start()] in ("", " "):
                    _type(session, message[: match.start()], match.group(), known, counts)
    return counts


def bars_of(session: Session, before: str, word: str) -> Iterator[Answer]:
    """Type a word, in its own case, behind a text in a new field, and a space; yield the bar of each letter."""
    session.apply(FieldStarted(is_private=True))
    session.apply(TextChanged(before, len(before)))
    for char in word:
        if char.islower() and session.shift != "off":
            session.apply(ShiftPressed(lock=session.shift == "lock"))
        session.apply(Typed(char))
        yield session.suggest()
    session.apply(Typed(" "))


def _type(session: Session, before: str, word: str, known: Known, counts: Counts) -> None:
    for bar in bars_of(session, before, word):
        for slot in bar.slots:
            counts.slots += 1
            parts = {part for part in _PART.findall(slot.text.lower().replace("'s", "")) if len(part) > 1}
            if known.listed and slot.kind != "literal" and (unlisted := parts - known.listed):
                counts.unlisted += 1
                if not unlisted <= known.read:
                    counts.no_words += 1
                    counts.examples.append(f"slot {slot.text!r} behind {word!r}")
    counts.words += 1
    if letters_of(session.text) != letters_of(before + word):
        counts.changed += 1
        example = f"{before[-20:]}{word} -> {session.text[max(len(before) - 20, 0) :].strip()}".strip()
        if example not in known.misspelt:
            counts.spoiled += 1
            counts.examples.append(example)


def letters_of(text: str) -> str:
    """Return what of a text counts, case apart."""
    return "".join(filter(str.isalnum, text.casefold()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="of texts")
    parser.add_argument("--limit", type=int, help="messages of each text")
    parser.add_argument("--lists", type=Path, nargs="*", default=[], help="word lists; without, slots are not judged")
    parser.add_argument("--read", type=Path, default=Path(__file__).parent, help="folder of what somebody has read")
    parser.add_argument("--examples", type=int, default=0, help="how many to print")
    options = parser.parse_args()
    read = read_verdicts(options.read / "read_words.tsv", ("word", "name"))
    known = Known(read_lists(options.lists), read, read_verdicts(options.read / "read_changes.tsv", ("misspelt",)))
    session = Session.open(options=SessionOptions(num_threads=1))
    rows = [("text", "words", "changed %", "spoiled %", "slots", "unlisted in 10,000", "no words")]
    total = Counts()
    report = {}
    for text in load_texts(options.folder):
        counts = measure(session, sample(text, options.limit) if options.limit else text, known)
        rows.append(counts.row(text.name))
        report[text.name] = counts.numbers()
        if text.name not in APART:
            total.add(counts)
    rows.append(total.row("all but " + ", ".join(APART)))
    for example in total.examples[: options.examples]:
        print(example)
    print(format_table(rows))
    print(json.dumps({**report, "all": total.numbers()}))


if __name__ == "__main__":
    main()
