"""The file of learned words that a command is given."""

from __future__ import annotations

from pathlib import Path

from keyboard_lm.errors import DataError

_DATABASE = b"SQLite format 3\0"


def check_learned(file: Path | None) -> None:
    """Refuse a file that is no database at all.

    It would be taken for a damaged one and set aside; more likely its name was mistaken.

    Raises:
        DataError: it cannot be read, or is something else.
    """
    if file is None or not file.is_file():
        return
    try:
        with file.open("rb") as content:
            start = content.read(len(_DATABASE))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    if start and start != _DATABASE:
        raise DataError(f"{file}: not a file of learned words; choose another name")
