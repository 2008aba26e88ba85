"""Right words that a space changes, and slots of the bar that hold no word.

    python tests/benchmarks/right_words.py EVAL_PUBLIC [--limit 20] [--lists WORDLIST ...]

Every word of each text is typed letter by letter behind the true text before it, and then a space. Changed: its letters
are others afterwards; capitals and apostrophes do not count. What no list holds may be a misspelling that the writer
left, so that changed words that a list does hold are counted by themselves, too. No word: the letters of a slot, but
for the literal's, stand in none of the lists (one word a line, or the first field of one), in small letters and without
a possessive's ending. Texts full of misspellings and slang of their own are shown apart. Prints a table and one JSON
line last.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path

from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.texts import EvaluationText, load_texts, sample
from keyboard_lm.keyboard.events import FieldStarted, ShiftPressed, TextChanged, Typed
from keyboard_lm.keyboard.session import Session, SessionOptions

APART = ("tweets_semeval2017.txt", "nus_sms.txt")
_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
_PART = re.compile(r"[a-z]+")


class Counts:
    """What was typed and what came of it."""

    def __init__(self) -> None:
        self.words = self.changed = self.changed_listed = self.slots = self.no_words = 0
        self.examples: list[str] = []

    def add(self, other: Counts) -> None:
        """Add another text's."""
        self.words += other.words
        self.changed += other.changed
        self.changed_listed += other.changed_listed
        self.slots += other.slots
        self.no_words += other.no_words
        self.examples += other.examples

    def numbers(self) -> tuple[int, ...]:
        """Return all counts."""
        return self.words, self.changed, self.changed_listed, self.slots, self.no_words

    def row(self, name: str) -> tuple[str, ...]:
        """Return a row of the table."""
        changed, listed = (100 * num / max(self.words, 1) for num in (self.changed, self.changed_listed))
        return (
            name,
            str(self.words),
            f"{changed:.2f}",
            f"{listed:.2f}",
            str(self.slots),
            f"{1e4 * self.no_words / max(self.slots, 1):.1f}",
        )


def read_lists(paths: Iterable[Path]) -> frozenset[str]:
    """Return the words of lists, in small letters."""
    words: set[str] = set()
    for path in paths:
        for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
            words.update(_PART.findall(re.split(r"[\t /]", line, maxsplit=1)[0].lower()))
    return frozenset(words)


def measure(session: Session, text: EvaluationText, known: frozenset[str]) -> Counts:
    """Return the counts of one text."""
    counts = Counts()
    for messages in text.documents:
        for message in messages:
            for match in _WORD.finditer(message):
                if message[match.start() - 1 : match.start()] in ("", " "):
                    _type(session, message[: match.start()], match.group(), known, counts)
    return counts


def _type(session: Session, before: str, word: str, known: frozenset[str], counts: Counts) -> None:
    session.apply(FieldStarted(is_private=True))
    session.apply(TextChanged(before, len(before)))
    for char in word:
        if char.islower() and session.shift != "off":
            session.apply(ShiftPressed(lock=session.shift == "lock"))
        session.apply(Typed(char))
        for slot in session.suggest().slots:
            counts.slots += 1
            parts = _PART.findall(slot.text.lower().replace("'s", ""))
            if known and slot.kind != "literal" and not known.issuperset(part for part in parts if len(part) > 1):
                counts.no_words += 1
                counts.examples.append(f"slot {slot.text!r} behind {word!r}")
    session.apply(Typed(" "))
    counts.words += 1
    if _letters(session.text) != _letters(before + word):
        counts.changed += 1
        counts.changed_listed += known.issuperset(_PART.findall(word.lower().removesuffix("'s")))
        counts.examples.append(f"{before[-20:]}{word} -> {session.text[-len(word) - 6 :]!r}")


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="of texts")
    parser.add_argument("--limit", type=int, help="messages of each text")
    parser.add_argument("--lists", type=Path, nargs="*", default=[], help="word lists; without, slots are not judged")
    parser.add_argument("--examples", type=int, default=0, help="how many to print")
    options = parser.parse_args()
    known = read_lists(options.lists)
    session = Session.open(options=SessionOptions(num_threads=1))
    rows = [("text", "words", "changed %", "in a list", "slots", "no words in 10,000")]
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
