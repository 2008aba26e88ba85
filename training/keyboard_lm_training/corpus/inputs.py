"""The files that a source's path or pattern means, on a disk or behind an URL."""

from __future__ import annotations

import glob
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyboard_lm.errors import DataError
from keyboard_lm_training.storage import connect

_STAMPS = ("ETag", "etag", "mtime", "LastModified", "created")  # what stores call it
_WEB = ("http", "https")  # whose paths are URLs already


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to read.

    Attributes:
        place: its path or URL.
        size: in bytes, as it lies there.
        stamp: changes when the file does: its time of change, or what the store says instead.
    """

    place: str
    size: int
    stamp: str

    @property
    def name(self) -> str:
        """The last part of its place."""
        return self.place.rsplit("/", 1)[-1]


def find_inputs(source: str, path: str, data_dir: str) -> list[InputFile]:
    """Return the files of a path or pattern, sorted by name.

    Args:
        source: the source's name, for messages.
        path: a file or a glob pattern; relative to `data_dir`, or an URL.
        data_dir: a folder or an URL.

    Raises:
        DataError: there is none, or it is a folder.
    """
    if "://" in path or "://" in data_dir:
        return _find_objects(source, path if "://" in path else f"{data_dir.rstrip('/')}/{path}")
    pattern = Path(data_dir) / path
    if pattern.is_file():
        return [_on_disk(pattern)]
    if pattern.is_dir():
        raise DataError(f"source {source}: {pattern} is a folder; name a file or a pattern such as '*.txt'")
    names = glob.glob(path, root_dir=data_dir, recursive=True)
    paths = sorted(found for name in names if (found := Path(data_dir) / name).is_file())
    if not paths:
        raise DataError(f"source {source}: no file {pattern}; check the path and --data-dir")
    return [_on_disk(found) for found in paths]


def _on_disk(path: Path) -> InputFile:
    status = path.stat()
    return InputFile(os.path.abspath(path), status.st_size, str(status.st_mtime_ns))


def _find_objects(source: str, url: str) -> list[InputFile]:
    files, path = connect(url)
    scheme = url.split("://", 1)[0]
    try:
        entries = files.glob(path, detail=True) if glob.has_magic(path) else {path: files.info(path)}
    except FileNotFoundError:
        entries = {}
    except Exception as error:  # drivers of stores raise hundreds of types
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"source {source}: {url} cannot be listed ({reason}); check your access") from None
    found = [
        InputFile(name if scheme in _WEB else files.unstrip_protocol(name), int(info["size"] or 0), _stamp(info))
        for name, info in sorted(entries.items())
        if info["type"] == "file"
    ]
    if not found:
        raise DataError(f"source {source}: no file {url}; check the path and --data-dir")
    return found


def _stamp(info: dict[str, Any]) -> str:
    return next((str(info[key]) for key in _STAMPS if info.get(key)), "")


def open_input(place: str, start: int = 0) -> io.RawIOBase:
    """Open an input as raw bytes, `start` bytes in.

    Raises:
        DataError: it cannot be opened.
    """
    stream: Any
    if "://" not in place:
        try:
            stream = Path(place).open("rb", buffering=0)  # noqa: SIM115 (the caller's)
            stream.seek(start)
        except OSError as error:
            raise DataError(f"{place}: cannot be read ({error.strerror}); check its permissions") from None
    else:
        files, path = connect(place)
        try:
            stream = files.open(path, "rb", block_size=8 << 20)
            if start:
                stream.seek(start)
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataError(f"{place}: cannot be read ({reason}); check its permissions") from None
    opened: io.RawIOBase = stream
    return opened
