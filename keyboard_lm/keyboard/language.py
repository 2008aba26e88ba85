"""All that the engine knows of a language, from its folder of data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from keyboard_lm.errors import ConfigError
from keyboard_lm.keyboard.editor import EditorOptions
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
    return Language(name, lexicon, load_channel_parameters(name), load_emoji(name), parse_rules(tomllib.loads(text)))


def parse_rules(values: Mapping[str, Any]) -> EditorOptions:
    """Build what the text field does from parsed TOML, as ``languages/en/language.toml`` has it.

    Raises:
        ConfigError: unknown keys.
    """
    rest = dict(values)
    words = frozenset(rest.pop("capital_words", ()))
    try:
        return EditorOptions(capital_words=words, **rest)
    except TypeError as error:
        raise ConfigError(f"{_FILE}: {error}") from None
