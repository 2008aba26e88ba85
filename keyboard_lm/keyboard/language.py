"""All that the engine knows of a language, from its folder of data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from keyboard_lm.keyboard.editor import EditorOptions
from keyboard_lm.tables import parse_toml, strict
from keyboard_lm.touch.channel import ChannelParameters, load_channel_parameters
from keyboard_lm.words.emoji import EmojiIndex, load_emoji
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
    """

    name: str
    lexicon: Lexicon
    channel: ChannelParameters
    emoji: EmojiIndex
    editor: EditorOptions


@cache
def load_language(name: str = "en") -> Language:
    """Return a language that ships with the package.

    Raises:
        ConfigError: no such language, the message lists those there are; or a damaged file.
    """
    lexicon = load_lexicon(name)
    text = resources.files("keyboard_lm").joinpath("languages", name, _FILE).read_text(encoding="utf-8")
    rules = parse_rules(parse_toml(text, f"{name}/{_FILE}"))
    return Language(name, lexicon, load_channel_parameters(name), load_emoji(name), rules)


def parse_rules(values: Mapping[str, Any]) -> EditorOptions:
    """Build what the text field does from parsed TOML, as ``languages/en/language.toml`` has it.

    Raises:
        ConfigError: unknown keys, or values of another type, all of which are listed.
    """
    return strict(EditorOptions, {"capital_words": [], **values}, _FILE)
