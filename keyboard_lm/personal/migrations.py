"""The personal file's format, step by step from an empty database to the newest version.

A file keeps the number of the last step that it has seen (SQLite's ``user_version``). A new file takes all steps, an
older one those that it lacks, so that both end in the same tables. A step that a release has shipped is never changed:
what has to be different becomes a step of its own, with a file of the version before among the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection

Step = Callable[[Connection], None]

_MOST_VERSIONS = 100  # a number above is noise, not a format
_TABLES = """
CREATE TABLE state (num_events INTEGER, origin INTEGER, half_life REAL);
CREATE TABLE ngram (context TEXT, word TEXT, mass REAL, PRIMARY KEY (context, word)) WITHOUT ROWID;
CREATE TABLE form (word TEXT, text TEXT, mass REAL, PRIMARY KEY (word, text)) WITHOUT ROWID;
CREATE TABLE pending (word TEXT PRIMARY KEY, seen_at REAL, event INTEGER) WITHOUT ROWID;
CREATE TABLE block (literal TEXT, corrected TEXT, PRIMARY KEY (literal, corrected)) WITHOUT ROWID;
"""


def _make_tables(connection: Connection) -> None:
    for statement in _TABLES.split(";"):  # `executescript` would commit
        connection.execute(statement)


def _add_shortcuts(connection: Connection) -> None:
    connection.execute("CREATE TABLE shortcut (typed TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID")


STEPS: tuple[Step, ...] = (_make_tables, _add_shortcuts)  # the first leads to version 1


def newest_version() -> int:
    """Return the version that all steps lead to."""
    return len(STEPS)


def newer_versions() -> range:
    """Return the versions that only a later program can have written."""
    return range(len(STEPS) + 1, _MOST_VERSIONS)


def migrate(connection: Connection) -> None:
    """Take the steps that a file lacks; inside a transaction, so that a killed process leaves the file as it was.

    Args:
        connection: to the file; another process may have been faster, so its version is read again here.
    """
    [(version,)] = connection.execute("PRAGMA user_version")
    for step in STEPS[version:]:
        step(connection)
    connection.execute(f"PRAGMA user_version = {newest_version()}")
