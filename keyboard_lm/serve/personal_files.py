"""One personal file a user, each with one process that writes it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keyboard_lm.errors import ConfigError, WriteError
from keyboard_lm.personal import PersonalStore, PersonalStoreError
from keyboard_lm.serve.errors import ServeError

_RETRY_MS = 1000


class PersonalFiles:
    """Opens users' stores; sessions of one user share one.

    The file's name is a hash, so that a user's name leads to no other place. A lock beside it, which a killed process
    gives back, holds off other processes: behind a proxy that sends a user's connections to one process there are none.

    Args:
        folder: of the files; made if need be.

    Raises:
        ConfigError: the folder cannot be used, or this system has no file locks.
    """

    def __init__(self, folder: Path) -> None:
        if os.name != "posix":
            raise ConfigError("personal files need a POSIX system's locks; leave --learn out")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from None
        self._folder = folder
        self._open: dict[str, tuple[PersonalStore, int, int]] = {}  # by subject: store, lock, number of users

    def path(self, subject: str) -> Path:
        """Return the file of a user."""
        return self._folder / f"{hashlib.sha256(subject.encode()).hexdigest()[:32]}.sqlite"

    def acquire(self, subject: str, knows: Callable[[str], bool]) -> PersonalStore:
        """Return a user's store, to be given back by `release`.

        Args:
            subject: the user.
            knows: whether the lexicon knows a word.

        Raises:
            ServeError: ``personal_busy`` where another process has it, ``personal_failed`` where it cannot be opened.
        """
        if subject in self._open:
            store, lock, num_users = self._open[subject]
            self._open[subject] = store, lock, num_users + 1
            return store
        path = self.path(subject)
        lock = _locked(path.with_suffix(".lock"))
        try:
            store = PersonalStore.open(path, knows=knows)
        except PersonalStoreError:
            os.close(lock)
            raise ServeError("personal_failed", "the personal file cannot be opened; see the service's log") from None
        self._open[subject] = store, lock, 1
        return store

    def release(self, subject: str) -> None:
        """Give a store back; the last one closes it."""
        store, lock, num_users = self._open[subject]
        if num_users > 1:
            self._open[subject] = store, lock, num_users - 1
            return
        del self._open[subject]
        store.close()
        os.close(lock)

    @contextmanager
    def opened(self, subject: str, knows: Callable[[str], bool]) -> Iterator[PersonalStore]:
        """Acquire and release."""
        store = self.acquire(subject, knows)
        try:
            yield store
        finally:
            self.release(subject)

    def export(self, store: PersonalStore) -> bytes:
        """Return what a store knows as JSON lines, which lie in the folder meanwhile, for its owner only.

        Raises:
            ServeError: ``personal_failed``.
        """
        try:
            with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                path = Path(folder) / "export.jsonl"
                store.export(path)
                return path.read_bytes()
        except (PersonalStoreError, WriteError, OSError):
            raise ServeError("personal_failed", "the personal file cannot be exported now; try again") from None


def _locked(path: Path) -> int:
    import fcntl  # POSIX only

    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        raise ServeError("personal_failed", "the personal folder cannot be written; see the service's log") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        message = "another process has this user's file; connect again, through a proxy that hashes by user"
        raise ServeError("personal_busy", message, _RETRY_MS) from None
    return lock
