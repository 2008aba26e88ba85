"""Files and folders that are written whole or not at all: under a temporary name, flushed to the disk, then renamed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from keyboard_lm.errors import WriteError


@contextmanager
def replaced_file(path: Path, *, private: bool = False, is_flushed: bool = True) -> Iterator[Path]:
    """Yield an empty draft file that takes the place of `path` when the block ends without an error.

    Args:
        path: of the file; its folder has to exist.
        private: whether only the file's owner may read it.
        is_flushed: whether it has to be on the disk before it appears; without, a power cut may leave it empty.

    Raises:
        WriteError: the file cannot be written (permissions, a full disk); what stood at `path` still does.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    draft = Path(name)
    try:
        os.close(handle)
        if not private:
            draft.chmod(0o666 & ~_umask())
        yield draft
        if is_flushed:
            _flush(draft)
        os.replace(draft, path)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror}); make room or choose another place") from None
    finally:
        draft.unlink(missing_ok=True)
    if is_flushed:
        _flush_entry(path)


def write_file_whole(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file whole or not at all.

    Args:
        path: of the file; its folder has to exist.
        content: all of it.
        private: whether only the file's owner may read it.

    Raises:
        WriteError: the file cannot be written; what stood at `path` still does.
    """
    with replaced_file(path, private=private) as draft:
        draft.write_bytes(content)


def write_text_whole(path: Path, text: str, *, private: bool = False) -> None:
    """Write a text file in UTF-8, whole or not at all (see `write_file_whole`).

    Raises:
        WriteError: the file cannot be written; what stood at `path` still does.
    """
    write_file_whole(path, text.encode(), private=private)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty draft folder that takes the place of `folder` when the block ends without an error.

    Raises:
        WriteError: the folder cannot be written (permissions, a full disk), or is a file; what stood there still does.
    """
    if folder.exists() and not folder.is_dir():
        raise WriteError(f"{folder}: cannot be written (it is a file); choose another folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from None
    try:
        draft.chmod(0o755)
        yield draft
        for path in (*draft.rglob("*"), draft):
            _flush(path)
        old = draft.with_name(draft.name + ".old")
        if folder.exists():
            folder.rename(old)
        try:
            draft.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written ({error.strerror}); free space or choose another") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _flush_entry(folder)


def take_lock(stream: IO[Any], *, shared: bool = False) -> bool:
    """Keep other processes out of a file until it is closed; return False where one has it already.

    Args:
        stream: the file, open for writing.
        shared: whether others may hold the lock too, if they share it (not on Windows, which has no such lock).
    """
    if sys.platform == "win32":
        import msvcrt

        if shared:
            return True
        with suppress(OSError):
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
            return True
        return False
    import fcntl

    with suppress(BlockingIOError):
        fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return True
    return False


def _flush_entry(path: Path) -> None:
    # So that a power cut does not undo the rename. Where it cannot be done, what stood there before comes back, whole.
    with suppress(OSError):
        _flush(path.parent)


def _flush(path: Path) -> None:
    # A rename may reach the disk before what it renames does; after a power cut the file would be there, and empty.
    if path.is_dir() and os.name == "nt":
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
