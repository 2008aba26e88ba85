"""Kinds of right words of which a space must change none: 500 of each, drawn from lists or made.

    python tests/benchmarks/right_kinds.py --names NAMES --american WORDLIST --british WORDLIST [--num 500] [--seed 0]

Names are a list of first names, typed with their capital and without; the word lists (one word a line, as Debian's
`american-english-huge` and `british-english-huge`) give plurals and possessives, and what only the British one holds.
Chat words are the table of the language pack and drawn-out ones. Units, times, prices and ordinals are made. Each is
typed letter by letter behind a beginning of a sentence, and then a space. Changed: other letters stand there;
capitals and apostrophes do not count. Prints a table and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from right_words import bars_of, letters_of

from keyboard_lm.cli.table import format_table
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.session import Session, SessionOptions

PACK = Path(__file__).parents[2] / "keyboard_lm" / "languages" / "en"
LEAST_FREQUENCY = 40  # on the lexicon's scale of frequency: what is below is more often a misspelling than meant


def lines_of(path: Path) -> list[str]:
    """Return the words of a list, one a line."""
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def chat_words() -> list[str]:
    """Return the language pack's chat words, and some drawn out."""
    rows = [line.split("\t")[0] for line in lines_of(PACK / "chat_words.tsv") if not line.startswith(("#", "word\t"))]
    drawn = [
        f"{word}{word[-1] * more}" for word in ("no", "so", "yes", "hey", "wow", "aw", "yay", "omg") for more in (2, 4)
    ]
    return [word for word in rows if " " not in word] + drawn


def plurals_and_possessives(words: Sequence[str]) -> list[str]:
    """Return the forms in ``s`` and ``'s`` of a list whose stem is in it too."""
    known = set(words)
    return [word for word in words if word.endswith("s") and word[:-1].removesuffix("'") in known and len(word) > 4]


def made(rng: random.Random, kind: str) -> Iterator[str]:
    """Yield units, times, prices or ordinals without end."""
    units = [
        "kg",
        "km",
        "cm",
        "mm",
        "lbs",
        "oz",
        "ml",
        "ft",
        "mins",
        "hrs",
        "mph",
        "gb",
        "mb",
        "k",
        "th",
        "yrs",
        "pm",
        "am",
    ]
    while True:
        number = rng.choice((rng.randint(2, 12), rng.randint(13, 99), rng.randint(100, 2500)))
        if kind == "units":
            yield f"{number}{rng.choice(units[:-3])}"
        elif kind == "times":
            hour, minute = rng.randint(1, 12), rng.randint(0, 59)
            yield rng.choice((f"{hour}:{minute:02}", f"{hour}{rng.choice(('am', 'pm'))}", f"{hour}:{minute:02}pm"))
        elif kind == "prices":
            yield rng.choice((f"${number}", f"{number}.{rng.randint(0, 99):02}", f"\u20ac{number}", f"{number}k"))
        else:
            last, teens = number % 10, number % 100 in (11, 12, 13)
            yield f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th')}"


def changed(session: Session, before: str, word: str) -> str | None:
    """Return what a space makes of a word; None where its letters stay."""
    for _ in bars_of(session, before, word):
        pass
    return None if letters_of(session.text) == letters_of(before + word) else session.text[len(before) :].strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=Path, required=True, help="first names, one a line")
    parser.add_argument("--american", type=Path, required=True, help="American words, one a line")
    parser.add_argument("--british", type=Path, required=True, help="British words, one a line")
    parser.add_argument("--num", type=int, default=500, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    lexicon = load_language().lexicon
    american, british = lines_of(options.american), lines_of(options.british)
    only_british = sorted(set(british) - set(american))

    def drawn(words: Sequence[str], is_fit: Callable[[str], bool] = lambda word: True) -> list[str]:
        fit = [word for word in words if is_fit(word)]
        return rng.sample(fit, min(options.num, len(fit)))

    def is_in_use(word: str) -> bool:
        # Lists of this size hold what nobody writes (``thes``); a keyboard cannot know that it was meant.
        return word.isascii() and word.islower() and lexicon.frequency(word.removesuffix("'s")) >= LEAST_FREQUENCY

    names = [name for name in lines_of(options.names) if name.isalpha() and name.isascii() and len(name) > 2]
    kinds: dict[str, tuple[str, list[str]]] = {
        "first names": ("I will ask ", drawn(names)),
        "first names in small letters": ("I will ask ", [name.lower() for name in drawn(names)]),
        "chat words": ("well ", drawn(chat_words())),
        "plurals and possessives": ("they are the ", drawn(plurals_and_possessives(american), is_in_use)),
        "British spellings": (
            "it was about the ",
            drawn(only_british, lambda word: is_in_use(word) and "'" not in word),
        ),
    }
    for kind in ("units", "times", "prices", "ordinals"):
        values = made(rng, kind)
        kinds[kind] = ("it is about ", [next(values) for _ in range(options.num)])
    session = Session.open(options=SessionOptions(num_threads=1))
    rows = [("kind", "words", "changed", "examples")]
    report = {}
    for kind, (before, words) in kinds.items():
        found = [(word, became) for word in words if (became := changed(session, before, word)) is not None]
        rows.append((kind, str(len(words)), str(len(found)), ", ".join(f"{a} -> {b}" for a, b in found[:12])))
        report[kind] = [len(words), len(found)]
    print(format_table(rows))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
