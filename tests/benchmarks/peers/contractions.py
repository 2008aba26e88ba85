"""Contractions typed without their apostrophe, apart: what aspell, Hunspell, SymSpell and this keyboard make of each.

    apt-get install aspell aspell-en hunspell hunspell-en-us; pip install symspellpy
    python tests/benchmarks/peers/contractions.py

A list of recorded misspellings has few of them, and chat is full of them. Those that are words as well (`ill`, `were`,
`well`, `its`, ...) are left out: nobody knows there what was meant. The keyboard sees one word at the start of a text;
its answer is what a space makes of it. A table, then one JSON line.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from keyboard_lm import FieldStarted, Session, Typed

MEANT = (
    "I'm", "I've", "don't", "doesn't", "didn't", "isn't", "aren't", "wasn't", "weren't", "haven't", "hasn't", "hadn't",
    "couldn't", "wouldn't", "shouldn't", "that's", "what's", "where's", "there's", "you're", "you've", "they're",
    "they've", "we've", "couldn't've", "who's", "how's", "it'll", "that'd", "y'all",
)  # fmt: skip


def main() -> None:
    """Ask each about each and print how many first suggestions are right."""
    words = [(meant.replace("'", "").lower(), meant) for meant in MEANT]
    columns: dict[str, dict[str, str]] = {
        "aspell": _piped("aspell", "-a", "-l", "en_US", words=words),
        "hunspell": _piped("hunspell", "-a", "-d", "en_US", words=words),
        "symspell": _answers(_symspell(), words),
        "keyboard": _answers(_keyboard(), words),
    }
    print(f"{'typed':<14}" + "".join(f"{name:<14}" for name in columns))
    for typed, _ in words:
        print(f"{typed:<14}" + "".join(f"{found[typed]:<14}" for found in columns.values()))
    right = {
        name: sum(found[typed].lower() == meant.lower() for typed, meant in words) for name, found in columns.items()
    }
    print(f"{f'right of {len(words)}':<14}" + "".join(f"{count:<14}" for count in right.values()))
    print(json.dumps({"contractions": len(words), "right": right}))


def _piped(*command: str, words: list[tuple[str, str]]) -> dict[str, str]:
    # Ispell's protocol: "&" lines have suggestions; "*", "+" and "-" mean that the word is taken as it is.
    found = {}
    for typed, _ in words:
        done = subprocess.run(command, input=f"^{typed}\n", capture_output=True, text=True, check=True)
        line = next(line for line in done.stdout.splitlines()[1:] if line)
        found[typed] = line.partition(": ")[2].split(", ")[0] if line.startswith("&") else typed
    return found


def _answers(ask: Callable[[str], str], words: list[tuple[str, str]]) -> dict[str, str]:
    return {typed: ask(typed) for typed, _ in words}


def _symspell() -> Callable[[str], str]:
    from importlib import resources

    from symspellpy import SymSpell, Verbosity

    speller = SymSpell()
    with resources.as_file(resources.files("symspellpy").joinpath("frequency_dictionary_en_82_765.txt")) as path:
        speller.load_dictionary(str(path), 0, 1)
    return lambda typed: next(
        (item.term for item in speller.lookup(typed, Verbosity.CLOSEST, max_edit_distance=2)), typed
    )


def _keyboard() -> Callable[[str], str]:
    session = Session.open()

    def ask(typed: str) -> str:
        session.apply(FieldStarted())
        for char in f"{typed} ":
            session.apply(Typed(char))
        return session.text.strip()

    return ask


if __name__ == "__main__":
    main()
