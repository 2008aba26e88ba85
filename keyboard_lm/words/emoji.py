"""Emoji by the words that stand for them."""

from __future__ import annotations

from functools import cache, cached_property
from importlib import resources

from keyboard_lm.text.case import fold

EMOJI_FILE = "emoji.tsv"


class EmojiIndex:
    """Finds emoji by word.

    Args:
        content: of an ``emoji.tsv``: a line for each word, a tab, and its emoji, the most fitting first, separated by
            blanks.
    """

    def __init__(self, content: str) -> None:
        self._content = content

    @cached_property
    def _emoji(self) -> dict[str, str]:
        # Made when the first word is finished.
        lines = self._content.splitlines()
        return dict(line.split("\t", 1) for line in lines if "\t" in line and line[0] != "#")

    def __len__(self) -> int:
        return len(self._emoji)

    def find(self, word: str, limit: int = 1) -> tuple[str, ...]:
        """Return the emoji that stand for a word, in any case, the most fitting first."""
        return tuple(self._emoji.get(fold(word), "").split()[:limit])


@cache
def load_emoji(language: str = "en") -> EmojiIndex:
    """Return the emoji of a language that ships with the package."""
    path = resources.files("keyboard_lm").joinpath("languages", language, EMOJI_FILE)
    return EmojiIndex(path.read_text(encoding="utf-8"))
