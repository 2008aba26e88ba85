"""All that the engine knows of a language, from its folder of data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from keyboard_lm.correction.gate import Gate, load_gate
from keyboard_lm.keyboard.editor import EditorOptions
from keyboard_lm.tables import parse_toml, strict
from keyboard_lm.touch.channel import ChannelParameters, load_channel_parameters
from keyboard_lm.words.emoji import EmojiIndex, load_emoji
from keyboard_lm.words.known_words import FormRule, KnownWords
from keyboard_lm.words.lexicon import Lexicon, load_lexicon

_FILE = "language.toml"


@dataclass(frozen=True)
class Language:
    """A language pack.

    Attributes:
        name: of its folder.
        lexicon: its words.
        channel: how they are mistyped.
        emoji: what stands for a word.
        editor: what its text fields do by themselves.
        forms: how more words are made of those of the lexicon.
        units: what may stand behind a number without a space.
        gate: when letters that are no word are replaced; None where ratios alone decide.
    """

    name: str
    lexicon: Lexicon
    channel: ChannelParameters
    emoji: EmojiIndex
    editor: EditorOptions
    forms: tuple[FormRule, ...] = ()
    units: frozenset[str] = frozenset()
    gate: Gate | None = None

    def known_words(self, is_learned: Callable[[str], bool] = lambda word: False) -> KnownWords:
        """Return what says what is a word, the writer's own among them."""
        return KnownWords(self.lexicon, self.forms, self.units, is_learned)


@cache
def load_language(name: str = "en") -> Language:
    """Return a language that ships with the package.

    Raises:
        ConfigError: no such language, the message lists those there are; or a damaged file.
    """
    lexicon = load_lexicon(name)
    text = resources.files("keyboard_lm").joinpath("languages", name, _FILE).read_text(encoding="utf-8")
    values = dict(parse_toml(text, f"{name}/{_FILE}"))
    forms, units = parse_forms(values.pop("forms", ())), frozenset(values.pop("units", ()))
    rules, channel = parse_rules(values), load_channel_parameters(name)
    return Language(name, lexicon, channel, load_emoji(name), rules, forms, units, load_gate(name))


def parse_forms(rows: Iterable[Mapping[str, Any]]) -> tuple[FormRule, ...]:
    """Build rules from parsed TOML, as ``languages/en/language.toml`` has them.

    Raises:
        ConfigError: unknown keys, or values of another type.
    """
    return tuple(strict(FormRule, row, f"{_FILE} [[forms]]") for row in rows)


def parse_rules(values: Mapping[str, Any]) -> EditorOptions:
    """Build what the text field does from parsed TOML, as ``languages/en/language.toml`` has it.

    Raises:
        ConfigError: unknown keys, or values of another type, all of which are listed.
    """
    return strict(EditorOptions, {"capital_words": [], **values}, _FILE)
