"""How words are misspelt by people who believe that they spell them rightly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from keyboard_lm.errors import ConfigError
from keyboard_lm.tables import parse_toml, strict


@dataclass(frozen=True)
class MisspellingRule:
    """One confusion of spellings.

    Attributes:
        pattern: what in a lower-case word is misspelt.
        replacement: what is written for it, as `re.Match.expand` takes it.
        weight: how much more often than other rules, where both apply.
    """

    pattern: re.Pattern[str]
    replacement: str
    weight: float


@dataclass(frozen=True)
class _WrittenRule:
    pattern: str
    replacement: str
    weight: float = 1

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ConfigError(f"weight must be positive, not {self.weight!r}")


class Misspellings:
    """The misspellings that rules make of a word.

    Args:
        rules: each applies to every place where its pattern matches, one at a time.
    """

    def __init__(self, rules: Iterable[MisspellingRule]) -> None:
        self._rules = tuple(rules)
        self.of = lru_cache(maxsize=50_000)(self._of)

    def _of(self, word: str) -> tuple[tuple[str, float], ...]:
        """Return what a word may become with the weights; the word's own capitals are kept."""
        lowered = word.lower()
        if len(lowered) != len(word):
            return ()  # a capital such as İ that becomes two characters: no spelling of ours
        weights: dict[str, float] = {}
        for rule in self._rules:
            for match in rule.pattern.finditer(lowered):
                written = _cased(match.expand(rule.replacement), word[match.start() : match.end()], word)
                misspelt = word[: match.start()] + written + word[match.end() :]
                if misspelt and misspelt != word:
                    weights[misspelt] = weights.get(misspelt, 0) + rule.weight
        return tuple(weights.items())


def _cased(written: str, replaced: str, word: str) -> str:
    if len(word) > 1 and word.isupper():
        return written.upper()
    return written[:1].upper() + written[1:] if replaced[:1].isupper() else written


@cache
def load_misspellings() -> Misspellings:
    """Return the rules that ship with the package."""
    text = resources.files(__package__).joinpath("misspellings.toml").read_text(encoding="utf-8")
    return Misspellings(parse_rules(parse_toml(text, "misspellings.toml")))


def parse_rules(values: Mapping[str, Any]) -> list[MisspellingRule]:
    """Build rules from parsed TOML, as ``misspellings.toml`` has it.

    Raises:
        ConfigError: listing every rule that is not valid.
    """
    rules, mistakes = [], []
    for number, rule in enumerate(values.get("rules", ()), 1):
        try:
            written = strict(_WrittenRule, rule, f"rule {number}")
            rules.append(MisspellingRule(re.compile(written.pattern), written.replacement, written.weight))
        except ConfigError as error:
            mistakes.append(str(error))
        except re.error as error:
            mistakes.append(f"rule {number}: {error}")
    if mistakes:
        raise ConfigError("misspellings: " + "; ".join(mistakes))
    return rules
