"""Spell checkers as peers: what each offers for one word, best first; they look at no context."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from importlib import metadata, resources
from typing import Any, Protocol


class Speller(Protocol):
    """A spell checker under test."""

    name: str

    def suggest(self, word: str) -> tuple[str, ...]:
        """Return corrections of a word, best first; none where it takes the word for right."""
        ...


class IspellPipe:
    """Aspell or Hunspell, by the pipe protocol of ispell that both speak.

    Args:
        command: the program with its options.
    """

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self.name = self._stdout.readline().rsplit("(", 1)[-1].split(")")[0].replace("but really ", "").strip("@ \n")
        self.suggest = lru_cache(maxsize=None)(self._suggest)

    def _suggest(self, word: str) -> tuple[str, ...]:
        self._stdin.write(f"^{word}\n")  # "^": whatever comes is text, no command
        self._stdin.flush()
        found: tuple[str, ...] = ()
        while line := self._stdout.readline().strip():
            if line.startswith("&") and not found:
                found = tuple(line.split(": ", 1)[1].split(", "))
        return found


class SymSpellPeer:
    """SymSpell over the dictionary that symspellpy ships, to the distance of 2 that it advises."""

    def __init__(self) -> None:
        from symspellpy import SymSpell, Verbosity

        self.name = f"SymSpell (symspellpy {metadata.version('symspellpy')})"
        self._all: Any = Verbosity.ALL
        self._symspell = SymSpell(max_dictionary_edit_distance=2, prefix_length=7)
        dictionary = resources.files("symspellpy").joinpath("frequency_dictionary_en_82_765.txt")
        self._symspell.load_dictionary(str(dictionary), term_index=0, count_index=1)
        self.suggest = lru_cache(maxsize=None)(self._suggest)

    def _suggest(self, word: str) -> tuple[str, ...]:
        found = self._symspell.lookup(word.lower(), self._all, max_edit_distance=2)
        return () if found and found[0].distance == 0 else tuple(each.term for each in found[:10])


def spellers() -> list[Speller]:
    """Start all three."""
    return [IspellPipe("aspell", "-a", "--lang=en_US"), IspellPipe("hunspell", "-a", "-d", "en_US"), SymSpellPeer()]
