"""The personal file: SQLite that survives a killed process, a damaged file and a second process."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TypeVar

from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.personal import migrations

APPLICATION_ID = 0x6B6C6D70  # "klmp"
BUSY_TIMEOUT_S = 2.0
_MAX_WARNINGS = 20
_DATABASE = b"SQLite format 3\0"
_SUFFIXES = ("-wal", "-shm", "")  # the log first: a new file must not find the old one's
_SET_ASIDE = ".corrupt-"
# What passes, or is no fault of the content. All else that SQLite reports is damage, "read-only" included: the mode of
# the file has been set by then.
_PASSING = frozenset(
    (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
     sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL)
)  # fmt: skip
TABLES = ("ngram", "form", "pending", "block", "shortcut")

Result = TypeVar("Result")


class PersonalStoreError(KeyboardLMError):
    """A personal store cannot be opened, or cannot do what was asked for."""


class DamagedFile(sqlite3.DatabaseError):
    """What was read makes no sense."""


class PersonalFile:
    """One connection to a personal file.

    Every write is one transaction, which a killed process cannot leave half done. A file that turns out to be damaged
    is renamed, a new one takes its place, and whatever was being done is done again on that.

    Args:
        path: of the file; its folder is made if need be. None keeps everything in memory.

    Attributes:
        warnings: what went wrong without stopping anything, the latest last.
        epoch: goes up whenever what was read before no longer holds.

    Raises:
        PersonalStoreError: the file cannot be opened, is something else, or is of a newer version.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.epoch = 0
        self._inode: tuple[int, int] | None = None
        self._data_version = -1
        self._connection: sqlite3.Connection | None = None
        self._is_held = self._was_looked_at = False
        self._guarded(self._connected)

    def close(self) -> None:
        """Close the file; what comes later opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                self.warn(f"{self.path}: could not be closed ({error})")

    def warn(self, message: str) -> None:
        """Add a warning; one that repeats itself is kept once."""
        if message not in self.warnings:
            self.warnings.append(message)
            del self.warnings[:-_MAX_WARNINGS]

    def read(self, ask: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `ask`, having looked whether another process has written; it must be ready to be run again.

        Raises:
            PersonalStoreError: the file cannot be read now.
        """

        def look_and_ask() -> Result:
            connection = self._connected()
            if not (self._is_held and self._was_looked_at):
                self._look(connection)
                self._was_looked_at = True
            return ask(connection)

        return self._guarded(look_and_ask)

    @property
    def looked_at(self) -> sqlite3.Connection | None:
        """The connection, where `held` says not to look again; None where `read` has to be asked, errors included."""
        return self._connection if self._is_held and self._was_looked_at else None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Look only once, before the first of several reads, whether another process has written."""
        self._is_held, self._was_looked_at = True, False
        try:
            yield
        finally:
            self._is_held = False

    def write(self, change: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `change` in a transaction; it must be ready to be run again.

        Raises:
            PersonalStoreError: the file cannot be written now; nothing has changed.
        """

        def in_transaction() -> Result:
            if self._connection is not None and not self._is_ours():
                self.close()
            with transaction(self._connected()) as connection:
                self._look(connection)
                return change(connection)

        return self._guarded(in_transaction)

    def purge(self) -> None:
        """Leave nothing of what was deleted, neither in free pages nor in the write-ahead log.

        Raises:
            PersonalStoreError: another process is in the way; what was deleted is gone for every query all the same.
        """

        def run() -> int:
            connection = self._connected()
            connection.execute("VACUUM")
            return int(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])

        if self._guarded(run):
            raise PersonalStoreError(
                f"{self.path}: deleted, but traces may stay in the file while another program reads it; try again"
            )

    def remove_set_aside(self) -> None:
        """Delete the files that were set aside for being damaged.

        Raises:
            PersonalStoreError: one cannot be deleted.
        """
        if self.path is None:
            return
        try:
            for file in self.path.parent.iterdir():
                if file.name.startswith(f"{self.path.name}{_SET_ASIDE}"):
                    file.unlink()
        except OSError as error:
            raise PersonalStoreError(f"{error.filename}: cannot be deleted ({error.strerror}); delete it") from None

    def _guarded(self, act: Callable[[], Result]) -> Result:
        for _ in range(2):
            try:
                return act()
            except (sqlite3.Error, UnicodeDecodeError) as error:  # a message may quote the damage
                if not _is_damage(error):
                    raise PersonalStoreError(f"{self.path}: {error}; close what else uses it, or make room") from None
                reason = str(error)
            self._set_aside(reason)
        raise PersonalStoreError(f"{self.path}: damaged ({reason}), and so is the new file; check the disk")

    def _look(self, connection: sqlite3.Connection) -> None:
        [(version,)] = connection.execute("PRAGMA data_version")
        if version != self._data_version:
            self._data_version = version
            self.epoch += 1

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            if self.path is not None:
                self._inode = _make_private(self.path)
            connection = sqlite3.connect(self.path or ":memory:", timeout=BUSY_TIMEOUT_S, isolation_level=None)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            self._data_version = -1
            self.epoch += 1
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")  # nothing personal in /tmp
        [(application,)] = connection.execute("PRAGMA application_id")
        [(version,)] = connection.execute("PRAGMA user_version")
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if names and not names.intersection(TABLES):
            raise PersonalStoreError(f"{self.path}: a database of something else; choose another file")
        if names and application == APPLICATION_ID and version in migrations.newer_versions():
            raise PersonalStoreError(
                f"{self.path}: format {version} is newer than this program, which reads up to "
                f"{migrations.newest_version()}; update the program (the file is as it was)"
            )
        if names and not (application == APPLICATION_ID and 1 <= version <= migrations.newest_version()):
            raise DamagedFile("header")
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")  # a kill loses nothing, a power cut the last words
        if not names or version < migrations.newest_version():
            with transaction(connection):
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                migrations.migrate(connection)

    def _is_ours(self) -> bool:
        # Whether the file at the path is still the one that is open.
        if self.path is None:
            return True
        try:
            return _inode(self.path) == self._inode
        except OSError:
            return False

    def _set_aside(self, reason: str) -> None:
        is_ours = self._is_ours()  # or else another process has set it aside already
        self.close()
        self.epoch += 1
        if self.path is None or not is_ours:
            return
        names = (self.path.with_name(f"{self.path.name}{_SET_ASIDE}{number}") for number in count(1))
        kept = next(name for name in names if not name.exists())
        try:
            for suffix in _SUFFIXES:
                source = self.path.with_name(self.path.name + suffix)
                if source.exists():
                    source.rename(kept.with_name(kept.name + suffix))
        except OSError as error:
            raise PersonalStoreError(
                f"{self.path}: damaged ({reason}) and cannot be renamed ({error.strerror}); remove it"
            ) from None
        self.warn(f"{self.path}: damaged ({reason}); set aside as {kept.name}, learning starts anew")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Do all or nothing; other writers wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_database(path: Path) -> bool:
    """Return whether a file begins as every database does.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as content:
        return content.read(len(_DATABASE)) == _DATABASE


def refuse_database(path: Path) -> None:
    """Raise where something else is about to take the place of a personal file, or of its log.

    Raises:
        PersonalStoreError: it would.
    """
    names = [path, *(path.with_name(path.name.removesuffix(suffix)) for suffix in ("-wal", "-shm"))]
    try:
        is_one = any(name.is_file() and is_database(name) for name in names)
    except OSError:
        return  # whoever writes there says what is wrong
    if is_one:
        raise PersonalStoreError(f"{path}: holds what a keyboard has learned; choose another name")


def _make_private(path: Path) -> tuple[int, int]:
    # SQLite gives the log and its index the mode of the file, so that none of the three can be read by others. A file
    # that exists is not opened: closing it would drop the locks of every connection that this process has to it.
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            if path.is_dir():
                raise
        path.chmod(0o600)
        return _inode(path)
    except OSError as error:
        raise PersonalStoreError(f"{path}: cannot be opened ({error.strerror}); choose another place") from None


def _inode(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _use_wal(connection: sqlite3.Connection) -> None:
    # The switch does not wait for other processes as everything else does, so that two that make one file collide.
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _is_damage(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _is_damage(error: sqlite3.Error | UnicodeDecodeError) -> bool:
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        raise error  # a mistake in this program
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _PASSING
