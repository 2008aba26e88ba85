"""Named files in one place, a folder or a bucket, each of which is there whole or not at all.

A place is a path (``/data/out``) or an URL that fsspec understands (``s3://bucket/out``, ``gs://...``, ``memory://...``,
``local:///data/out``). On a disk a file appears by rename; an object store shows an object when its upload is complete.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

from keyboard_lm.errors import DataError, MissingExtraError, WriteError
from keyboard_lm.files import replaced_file

_COPY_BYTES = 1 << 20
_NAMES_THE_PROBLEM = 200  # characters of another library's message that an error quotes


class Storage(ABC):
    """Files under one place, by relative names with ``/``. An instance is cheap, and travels to other processes.

    Args:
        place: the folder or URL that names start from.
        is_flushed: whether a file is on the disk, and not only on its way there, when it appears. Without, a power cut
            may leave it empty.

    Attributes:
        written: the bytes of each file that this instance wrote.
    """

    def __init__(self, place: str, is_flushed: bool = True) -> None:
        self.place = place
        self.is_flushed = is_flushed
        self.written: dict[str, int] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return open_storage, (self.place, self.is_flushed)

    def where(self, name: str) -> str:
        """Return the full path or URL of a file, for messages."""
        return f"{self.place.rstrip('/')}/{name}" if name else self.place

    def under(self, name: str) -> Storage:
        """Return the storage of a folder in this one."""
        return open_storage(self.where(name), self.is_flushed)

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Return a file's bytes, None where there is no such file."""

    @abstractmethod
    def names(self, folder: str = "") -> list[str]:
        """Return the sorted names of the files directly in a folder, drafts not among them."""

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading; it is seekable.

        Raises:
            DataError: it is not there, or cannot be read.
        """

    @abstractmethod
    def read_pieces(self, pieces: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return the bytes of several (name, start, end) pieces, of one file or many, in one request where it can be.

        Raises:
            DataError: a file is not there, cannot be read, or ends too early.
        """

    def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of several (start, end) ranges of one file (see `read_pieces`)."""
        return self.read_pieces([(name, start, end) for start, end in ranges])

    @contextmanager
    def replaced(self, name: str) -> Iterator[IO[bytes]]:
        """Yield a stream that becomes the file when the block ends without an error.

        Raises:
            WriteError: it cannot be written; what stood there still does.
        """
        with self._replaced(name) as stream:
            yield stream
            size = stream.tell()
        self.written[name] = size

    @abstractmethod
    def _replaced(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]: ...

    @abstractmethod
    def remove(self, folder: str = "") -> None:
        """Remove a folder with all that it holds, or one file, if it is there."""

    def _whole(self, pieces: Sequence[tuple[str, int, int]], found: Sequence[bytes]) -> list[bytes]:
        for (name, start, end), data in zip(pieces, found, strict=True):
            if len(data) != end - start:
                raise DataError(
                    f"{self.where(name)}: ends within bytes {start} to {end}; the file is truncated, make it again"
                )
        return list(found)

    def read(self, name: str) -> bytes:
        """Return a whole file.

        Raises:
            DataError: it is not there, or cannot be read.
        """
        with self.open(name) as stream:
            return stream.read()

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all.

        Raises:
            WriteError: it cannot be written.
        """
        with self.replaced(name) as stream:
            stream.write(content)


def open_storage(place: str | Path, is_flushed: bool = True) -> Storage:
    """Return the storage at a path or URL; nothing is read or made yet.

    Args:
        place: a path or an URL.
        is_flushed: see `Storage`; an object store always keeps what it has shown.

    Raises:
        MissingExtraError: fsspec is needed and not installed.
        DataError: no such kind of URL, or its package is not installed.
    """
    text = str(place)
    if "://" not in text or text.startswith("file://"):
        return DiskStorage(text.removeprefix("file://"), is_flushed)
    return ObjectStorage(text, is_flushed)


class DiskStorage(Storage):
    """A folder of this machine, or one that several machines mount."""

    def __init__(self, place: str, is_flushed: bool = True) -> None:
        super().__init__(os.path.abspath(place), is_flushed)
        self._folder = Path(self.place)

    def size(self, name: str) -> int | None:
        try:
            return (self._folder / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise DataError(_unreadable(self.where(name), error)) from None

    def names(self, folder: str = "") -> list[str]:
        try:
            with os.scandir(self._folder / folder) as entries:
                return sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_file())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(_unreadable(self.where(folder), error)) from None

    def open(self, name: str) -> IO[bytes]:
        try:
            return (self._folder / name).open("rb")
        except OSError as error:
            raise DataError(_unreadable(self.where(name), error)) from None

    def read_pieces(self, pieces: Sequence[tuple[str, int, int]]) -> list[bytes]:
        found = []
        for name, group in itertools.groupby(pieces, key=lambda piece: piece[0]):
            try:
                descriptor = os.open(self._folder / name, os.O_RDONLY | getattr(os, "O_BINARY", 0))
                try:
                    found += [_pread(descriptor, start, end - start) for _, start, end in group]
                finally:
                    os.close(descriptor)
            except OSError as error:
                raise DataError(_unreadable(self.where(name), error)) from None
        return self._whole(pieces, found)

    @contextmanager
    def _replaced(self, name: str) -> Iterator[IO[bytes]]:
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(_unwritable(self.where(name), error)) from None
        with replaced_file(path, is_flushed=self.is_flushed) as draft, draft.open("wb") as stream:
            yield stream

    def remove(self, folder: str = "") -> None:
        path = self._folder / folder
        if path.is_file():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path, ignore_errors=True)


class ObjectStorage(Storage):
    """Whatever fsspec reaches. Its drivers raise hundreds of types; what comes out here is a `KeyboardLMError`."""

    def __init__(self, place: str, is_flushed: bool = True) -> None:
        super().__init__(place, is_flushed)
        self._files, self._root = connect(place)
        self._has_renames = "local" in self._files.protocol  # fsspec's name for a disk

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def size(self, name: str) -> int | None:
        try:
            return int(self._files.info(self._path(name))["size"])
        except FileNotFoundError:
            return None
        except Exception as error:
            raise DataError(_unreadable(self.where(name), error)) from None

    def names(self, folder: str = "") -> list[str]:
        try:
            self._files.invalidate_cache()
            entries = self._files.ls(self._path(folder), detail=True)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise DataError(_unreadable(self.where(folder), error)) from None
        names = (entry["name"].rsplit("/", 1)[-1] for entry in entries if entry["type"] == "file")
        return sorted(name for name in names if name and name[0] != ".")

    def open(self, name: str) -> IO[bytes]:
        try:
            stream: IO[bytes] = self._files.open(self._path(name), "rb", block_size=8 << 20)
            return stream
        except Exception as error:
            raise DataError(_unreadable(self.where(name), error)) from None

    def read_pieces(self, pieces: Sequence[tuple[str, int, int]]) -> list[bytes]:
        # HTTP has no empty range, and stores answer one with something that is not empty.
        asked = [piece for piece in pieces if piece[1] < piece[2]]
        names, starts, ends = zip(*asked, strict=True) if asked else ((), (), ())
        try:
            found = iter(self._files.cat_ranges([*map(self._path, names)], [*starts], [*ends], on_error="raise"))
        except Exception as error:
            raise DataError(_unreadable(self.where(", ".join(sorted({*names}))), error)) from None
        return self._whole(pieces, [next(found) if start < end else b"" for _, start, end in pieces])

    @contextmanager
    def _replaced(self, name: str) -> Iterator[IO[bytes]]:
        # Spooled on the local disk first: an upload that is cut off then cannot leave half an object, whatever the
        # driver does when its stream is closed by an error.
        path = self._path(name)
        with tempfile.TemporaryFile() as spool:
            yield spool
            spool.seek(0)
            try:
                _make_folder(self.place, path.rpartition("/")[0])
                draft = f"{path.rpartition('/')[0]}/.{uuid.uuid4().hex}" if self._has_renames else path
                with self._files.open(draft, "wb") as stream:
                    shutil.copyfileobj(spool, stream, _COPY_BYTES)
                if self._has_renames:
                    os.replace(draft, path)
            except Exception as error:
                raise WriteError(_unwritable(self.where(name), error)) from None

    def remove(self, folder: str = "") -> None:
        with contextlib.suppress(FileNotFoundError):
            try:
                self._files.rm(self._path(folder), recursive=True)
            except FileNotFoundError:
                raise
            except Exception as error:
                raise WriteError(_unwritable(self.where(folder), error)) from None


def is_private_to_process(place: str) -> bool:
    """Return whether other processes see nothing of what is stored at a place."""
    return place.startswith("memory://")


@cache
def connect(place: str) -> tuple[Any, str]:
    """Return the fsspec file system of an URL, and the path in it.

    Raises:
        MissingExtraError: fsspec is not installed.
        DataError: no such kind of URL, its package is not installed, or it cannot be reached.
    """
    try:
        import fsspec
    except ImportError:
        raise MissingExtraError("fsspec", "cluster") from None
    try:
        files, root = fsspec.core.url_to_fs(place)
    except ValueError as error:
        raise DataError(
            f"{place}: {_first_line(error)}; use a path, s3://, gs:// or another that fsspec knows"
        ) from None
    except ImportError as error:
        raise DataError(f"{place}: {_first_line(error)}") from None
    except Exception as error:
        raise DataError(_unreadable(place, error)) from None
    return files, root.rstrip("/")


@cache
def _make_folder(place: str, folder: str) -> None:
    files, _ = connect(place)
    with contextlib.suppress(Exception):  # buckets have no folders; where one is missing, the writing says so
        files.makedirs(folder, exist_ok=True)


def _pread(descriptor: int, start: int, count: int) -> bytes:
    if not hasattr(os, "pread"):
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.read(descriptor, count)
    data = os.pread(descriptor, count, start)
    while len(data) < count and (more := os.pread(descriptor, count - len(data), start + len(data))):
        data += more
    return data


def _unreadable(where: str, error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{where}: no such file; check the place, and whether what makes it has run"
    return f"{where}: cannot be read ({_first_line(error)}); check the place, your access and the connection"


def _unwritable(where: str, error: BaseException) -> str:
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    advice = "free some space" if is_full else "choose a place you can write to"
    return f"{where}: cannot be written ({_first_line(error)}); {advice}"


def _first_line(error: BaseException) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error).strip() or type(error).__name__
    return text.splitlines()[0][:_NAMES_THE_PROBLEM]
