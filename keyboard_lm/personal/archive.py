"""Everything a personal store knows as JSON lines, out and in.

The first line names the format; each other line is one of

    {"ngram": ["see", "you", "soon"], "count": 1.7}    the last word after those before it; "<s>" begins a sentence
    {"form": ["anna", "Anna"], "count": 3.2}           how a word was written
    {"pending": "teh", "seen_at": 1.7e9, "words_ago": 12}
    {"block": ["teh", "the"]}                          a correction that the user took back
    {"shortcut": ["omw", "on my way"]}                 what the writer types for something longer

with counts as they are at the time of writing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from keyboard_lm.errors import WriteError
from keyboard_lm.files import write_text_whole
from keyboard_lm.personal import counts
from keyboard_lm.personal.file import PersonalStoreError
from keyboard_lm.personal.model import MAX_ORDER
from keyboard_lm.personal.words import START, Token
from keyboard_lm.text.case import fold

_HEAD: dict[str, Any] = {"format": "keyboard-lm personal store", "version": 1}

Row = Mapping[str, Any]


def rows(connection: Connection, half_life: float) -> list[Row]:
    """Return what a file holds, the line that names the format first."""
    state = counts.read_state(connection, half_life)
    found: list[Row] = [_HEAD]
    for context, word, mass in _sane(connection, "ngram", counts.IS_SANE):
        found.append({"ngram": [*context.split(), word], "count": mass / state.mass})
    for word, text, mass in _sane(connection, "form", counts.IS_SANE):
        found.append({"form": [word, text], "count": mass / state.mass})
    for word, seen_at, event in _sane(connection, "pending", "typeof(seen_at) = 'real' AND typeof(event) = 'integer'"):
        found.append({"pending": word, "seen_at": seen_at, "words_ago": state.num_events - event})
    for pair in _sane(connection, "block", "typeof(corrected) = 'text'"):
        found.append({"block": list(pair)})
    for pair in _sane(connection, "shortcut", "typeof(text) = 'text'"):
        found.append({"shortcut": list(pair)})
    return found


def _sane(connection: Connection, table: str, condition: str) -> list[tuple[Any, ...]]:
    # In the order of the first two columns; without what damage has made of a row.
    query = f"SELECT * FROM {table} WHERE {condition} ORDER BY 1, 2"
    return [row for row in connection.execute(query) if isinstance(row[0], str)]


def save(path: Path, found: Iterable[Row]) -> None:
    """Write rows to a file that only its owner can read, whole or not at all.

    Raises:
        PersonalStoreError: it cannot be written.
    """
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in found)
    try:
        write_text_whole(path, "".join(lines), private=True)
    except WriteError as error:
        raise PersonalStoreError(str(error)) from None


def load(path: Path) -> list[Row]:
    """Return the rows of a file that `save` wrote.

    Raises:
        PersonalStoreError: it cannot be read, or a line is none of the above.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise PersonalStoreError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise PersonalStoreError(f"{path}: not UTF-8 at byte {error.start + 1}; export it again") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line and number > 1:
            continue
        try:
            row = json.loads(line)
            if number == 1 and isinstance(row, dict) and row.get("format") == _HEAD["format"] and _is_newer(row):
                raise PersonalStoreError(f"{path}: version {row['version']} is newer than this program; update it")
            is_right = row == _HEAD if number == 1 else _is_row(row)
        except (ValueError, TypeError, RecursionError):
            is_right = False
        if not is_right:
            raise PersonalStoreError(f"{path}: line {number} is not of a personal store's export; export it again")
        found.append(row)
    return found[1:]


def add(connection: Connection, found: Iterable[Row], state: counts.State) -> None:
    """Add rows to what a file in this state holds, in a transaction."""
    for row in found:
        if "ngram" in row:
            *context, word = row["ngram"]
            counts.add_ngram(connection, " ".join(context), word, row["count"] * state.mass)
        elif "form" in row:
            word, text = row["form"]
            counts.add_form(connection, word, text, row["count"] * state.mass)
        elif "pending" in row:
            values = row["pending"], float(row["seen_at"]), state.num_events - row["words_ago"]
            connection.execute("INSERT OR IGNORE INTO pending VALUES (?, ?, ?)", values)
        elif "shortcut" in row:
            connection.execute("INSERT OR IGNORE INTO shortcut VALUES (?, ?)", row["shortcut"])
        else:
            connection.execute("INSERT OR IGNORE INTO block VALUES (?, ?)", row["block"])


def _is_newer(head: Row) -> bool:
    version = head.get("version")
    return isinstance(version, int) and version > int(_HEAD["version"])


def _is_row(row: Any) -> bool:
    kinds: dict[frozenset[str], Callable[[Row], bool]] = {
        frozenset({"ngram", "count"}): lambda row: _is_ngram(row["ngram"]) and _is_count(row["count"]),
        frozenset({"form", "count"}): lambda row: _is_form(row["form"]) and _is_count(row["count"]),
        frozenset({"pending", "seen_at", "words_ago"}): lambda row: (
            _is_key(row["pending"]) and _is_number(row["seen_at"]) and _is_age(row["words_ago"])
        ),
        frozenset({"block"}): lambda row: _is_pair(row["block"]),
        frozenset({"shortcut"}): lambda row: _is_pair(row["shortcut"]) and all(row["shortcut"]),
    }
    check = kinds.get(frozenset(row)) if isinstance(row, dict) else None
    return check is not None and check(row)


def _is_key(word: Any) -> bool:
    return isinstance(word, str) and word != "" and Token.of(word).key == word


def _is_ngram(words: Any) -> bool:
    if not isinstance(words, list) or not 1 <= len(words) <= MAX_ORDER:
        return False
    *context, word = words
    return _is_key(word) and all(_is_key(item) or (i == 0 and item == START) for i, item in enumerate(context))


def _is_form(pair: Any) -> bool:
    return _is_pair(pair) and _is_key(pair[0]) and Token.of(pair[1]).text == pair[1] and fold(pair[1]) == pair[0]


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return _is_number(value) and 0 < value < 1e12


def _is_age(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
