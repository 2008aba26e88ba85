"""What people write for what they mean when they spell by ear or by rule, as a language's file lists it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import NamedTuple

from keyboard_lm.errors import ConfigError

SPELLING_FILE = "spelling.tsv"
_START = "^"
_MOST_LETTERS = 4  # of one side of a rule


class SpellingRule(NamedTuple):
    """Letters that are written for others.

    Attributes:
        meant: what belongs there.
        typed: what is written.
        log_probability: of that, where `meant` stands in a word.
        at_start: whether only at the beginning of a word.
    """

    meant: str
    typed: str
    log_probability: float
    at_start: bool = False

    @property
    def is_substitution(self) -> bool:
        """Whether one letter is written for one other."""
        return len(self.meant) == len(self.typed) == 1 and not self.at_start

    @property
    def is_omission(self) -> bool:
        """Whether a letter is left out behind another."""
        return (len(self.meant), len(self.typed)) == (2, 1) and self.meant[0] == self.typed and not self.at_start

    @property
    def is_insertion(self) -> bool:
        """Whether a letter is put in behind another."""
        return (len(self.meant), len(self.typed)) == (1, 2) and self.meant == self.typed[0] and not self.at_start


def parse_spelling(lines: Iterable[str]) -> tuple[SpellingRule, ...]:
    """Read lines of what is meant, what is typed (``^``: the beginning of a word) and a logarithm, with tabs between.

    Raises:
        ConfigError: a line that is no such rule.
    """
    rules = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.rstrip("\n").split("\t")
        try:
            meant, typed, log = fields[0], fields[1], float(fields[2])
        except (IndexError, ValueError):
            raise ConfigError(f"{SPELLING_FILE}, line {number}: not meant, typed and a logarithm: {line!r}") from None
        at_start = meant.startswith(_START)
        meant, typed = meant.removeprefix(_START), typed.removeprefix(_START)
        is_short = 0 < len(meant) <= _MOST_LETTERS and 0 < len(typed) <= _MOST_LETTERS
        if not is_short or meant == typed or not (math.isfinite(log) and log < 0):
            raise ConfigError(f"{SPELLING_FILE}, line {number}: {meant!r} written as {typed!r} is no rule")
        rules.append(SpellingRule(meant, typed, log, at_start))
    return tuple(rules)


@cache
def load_spelling(language: str = "en") -> tuple[SpellingRule, ...]:
    """Return the rules that come with a language; none where it has no file of them."""
    path = resources.files("keyboard_lm").joinpath("languages", language, SPELLING_FILE)
    return parse_spelling(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else ()
