"""Text shortcuts: what the writer types for something longer, added by the writer alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from sqlite3 import Connection

from keyboard_lm.errors import DataError
from keyboard_lm.personal.file import PersonalFile
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import normalise

_MAX_TYPED, _MAX_TEXT = 48, 1000  # characters


class Shortcuts:
    """Short letters that stand for a text, in the personal file.

    A space puts the text in; no correction overrules that. To be used from one thread.

    Args:
        file: where they are kept, besides all else that is learned.
    """

    def __init__(self, file: PersonalFile) -> None:
        self._file = file
        self._epoch = -1
        self._texts: dict[str, str] = {}

    def all(self) -> dict[str, str]:
        """Return the texts by what is typed, in alphabetical order."""
        self._refresh()
        return dict(self._texts)

    def text(self, word: str) -> str | None:
        """Return what a word, in any case, stands for; None where it is no shortcut."""
        self._refresh()
        return self._texts.get(fold(word)) if self._texts else None

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add shortcuts; one that is there already gets its new text.

        Raises:
            DataError: what is typed is not one word, or the text is empty or too long; nothing was added.
            PersonalStoreError: the file cannot be written.
        """
        checked = checked_shortcuts(pairs)
        self._file.write(lambda connection: connection.executemany(_INSERT, checked))
        self._epoch = -1

    def remove(self, typed: str) -> bool:
        """Remove a shortcut; return whether there was one.

        Raises:
            PersonalStoreError: the file cannot be written, or traces stay because another process is reading it.
        """
        is_there = self.text(normalise(typed)) is not None
        key = fold(normalise(typed))
        self._file.write(lambda connection: connection.execute("DELETE FROM shortcut WHERE typed = ?", (key,)))
        self._epoch = -1
        self._file.purge()
        return is_there

    def reread(self) -> None:
        """Read all again when it is asked for next: the file was changed by other means."""
        self._epoch = -1

    def _refresh(self) -> None:
        # Only where the file has changed since it was read.
        if self._epoch == self._file.epoch and self._file.looked_at is not None:
            return

        def ask(connection: Connection) -> None:
            if self._epoch != self._file.epoch:
                self._texts = dict(connection.execute(_SELECT).fetchall())
                self._epoch = self._file.epoch

        self._file.read(ask)


_INSERT = "INSERT OR REPLACE INTO shortcut VALUES (?, ?)"
_SELECT = "SELECT typed, text FROM shortcut WHERE typeof(typed) = 'text' AND typeof(text) = 'text' ORDER BY typed"


def checked_shortcuts(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return shortcuts as they are kept.

    Raises:
        DataError: what is typed is not one word, or the text is empty or too long.
    """
    return [_checked(typed, text) for typed, text in pairs]


def _checked(typed: str, text: str) -> tuple[str, str]:
    key, whole = fold(normalise(typed)), normalise(text).strip()
    if not key.isalnum() or len(key) > _MAX_TYPED:
        raise DataError(f"{typed[:40]!r} is no shortcut; give letters and digits without a space, {_MAX_TYPED} at most")
    if not whole or len(whole) > _MAX_TEXT:
        raise DataError(f"the text of {typed!r} must have 1 to {_MAX_TEXT} characters, not {len(whole)}")
    if fold(whole) == key:
        raise DataError(f"{typed!r} stands for itself; give another text")
    return key, whole


def read_shortcuts(path: Path) -> list[tuple[str, str]]:
    """Read lines of what is typed, a tab, and the text; blank lines and those that begin with ``#`` are left out.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or a line has no tab.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give lines of shortcut, tab, text") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8; convert it, for example with iconv") from None
    pairs = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            typed, tab, text = line.partition("\t")
            if not tab:
                raise DataError(f"{path}, line {number}: no tab between a shortcut and its text")
            pairs.append((typed, text))
    return pairs
