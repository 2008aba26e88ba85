"""The words of a Hunspell dictionary, written out: every stem with every ending its rules allow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from keyboard_lm.errors import DataError


@dataclass(frozen=True)
class Affix:
    """One line of an affix file: what goes, what comes, and the words it is for."""

    is_prefix: bool
    strip: str
    add: str
    condition: re.Pattern[str]
    crosses: bool

    def of(self, word: str) -> str | None:
        """Return a word with the affix; None where it does not take it."""
        if self.is_prefix:
            fits = word.startswith(self.strip) and self.condition.match(word)
            return self.add + word[len(self.strip) :] if fits else None
        fits = word.endswith(self.strip) and self.condition.search(word)
        return word[: len(word) - len(self.strip)] + self.add if fits else None


def read_affixes(lines: Iterable[str]) -> dict[str, list[Affix]]:
    """Read the PFX and SFX lines of an ``.aff`` file, by flag.

    Raises:
        DataError: a rule has too few fields.
    """
    rules: dict[str, list[Affix]] = {}
    crosses: dict[str, bool] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields or fields[0] not in ("PFX", "SFX"):
            continue
        if len(fields) < 4:
            raise DataError(f"line {number}: an affix needs a flag, what goes and what comes, not {line.strip()!r}")
        kind, flag, strip, add = fields[:4]
        if flag not in crosses:
            crosses[flag] = strip == "Y"
            continue
        condition = fields[4] if len(fields) > 4 else "."
        pattern = re.compile(f"^{condition}" if kind == "PFX" else f"{condition}$")
        rule = Affix(kind == "PFX", strip.strip("0"), add.split("/")[0].strip("0"), pattern, crosses[flag])
        rules.setdefault(flag, []).append(rule)
    return rules


def expanded(stems: Iterable[str], rules: dict[str, list[Affix]]) -> Iterator[str]:
    """Yield the words of a ``.dic`` file's lines; those marked as not to be suggested are left out.

    So are possessives, which the language pack makes by a rule.
    """
    for line in stems:
        stem, _, flags = line.strip().partition("/")
        if not stem or stem[0].isdigit() or "!" in flags:
            continue
        yield stem
        affixes = [rule for flag in flags for rule in rules.get(flag, ()) if "'" not in rule.add]
        suffixed = [word for rule in affixes if not rule.is_prefix and (word := rule.of(stem))]
        yield from suffixed
        crossing = [word for rule in affixes if not rule.is_prefix and rule.crosses and (word := rule.of(stem))]
        for rule in affixes:
            if rule.is_prefix:
                for word in (stem, *(crossing if rule.crosses else ())):
                    if longer := rule.of(word):
                        yield longer
