"""Words that are never offered: the lexicon's, a developer's, and not a user's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from keyboard_lm.errors import DataError
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import is_word, normalise
from keyboard_lm.words.lexicon import Lexicon


class OffensiveWords:
    """Says of a word whether it must not be offered. Each form of a word has to be listed.

    Args:
        lexicon: whose marks count.
        blocked: more such words, in any case.
        allowed: words that may be offered whatever else is said of them, in any case.
    """

    def __init__(self, lexicon: Lexicon, blocked: Iterable[str] = (), allowed: Iterable[str] = ()) -> None:
        self._is_marked = lexicon.is_offensive
        self._blocked = frozenset(map(fold, blocked))
        self._allowed = frozenset(map(fold, allowed))

    def __call__(self, word: str) -> bool:
        """Return whether a word must not be offered."""
        key = fold(word)
        return key not in self._allowed and (key in self._blocked or self._is_marked(word))


def read_word_list(path: Path) -> frozenset[str]:
    """Read words, one on a line; blank lines and those that begin with ``#`` are left out.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or a line is not one word.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a file of words, one on a line") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8; convert it, for example with iconv") from None
    words = set()
    for number, line in enumerate(lines, 1):
        word = normalise(line)
        if word and not word.startswith("#"):
            if not is_word(word):
                raise DataError(f"{path}, line {number}: {word[:40]!r} is not one word; put one on each line")
            words.add(word)
    return frozenset(words)
