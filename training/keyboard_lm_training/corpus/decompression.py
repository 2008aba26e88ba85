"""Packed files as byte streams in which damage of every kind raises `DamagedError`."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Any, Protocol

from keyboard_lm.errors import MissingExtraError

COMPRESSIONS = (".xz", ".gz", ".zst")
_CHUNK_BYTES = 1 << 15
_BUFFER_BYTES = 1 << 20


class DamagedError(OSError):
    """The bytes are not what the file's name says, or end too early."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def compression_of(name: str) -> str:
    """Return the ending of a file name that says how it is packed, or ``""``."""
    return next((ending for ending in COMPRESSIONS if name.endswith(ending)), "")


def unpack(raw: io.RawIOBase, compression: str) -> IO[bytes]:
    """Return the unpacked stream of a raw one; reading it may raise `DamagedError`.

    Args:
        raw: the packed bytes.
        compression: one of `COMPRESSIONS`, or ``""``.

    Raises:
        MissingExtraError: zstandard is needed and not installed.
    """
    if compression == ".zst":
        try:
            import zstandard
        except ImportError:
            raise MissingExtraError("zstandard", "train") from None
        raw = _Unpacked(raw, zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError)
    elif compression == ".xz":
        raw = _Unpacked(raw, lzma.LZMADecompressor, lzma.LZMAError)
    elif compression == ".gz":
        raw = _Unpacked(raw, lambda: zlib.decompressobj(wbits=31), zlib.error)
    return io.BufferedReader(raw, _BUFFER_BYTES)


class _Unpacked(io.RawIOBase):
    """One or more packed streams in a row; unlike `zstandard.stream_reader`, it notices a truncated one."""

    def __init__(
        self, raw: io.RawIOBase, new_decompressor: Callable[[], _Decompressor], error: type[Exception]
    ) -> None:
        self._raw = raw
        self._new_decompressor = new_decompressor
        self._error = error
        self._stream: _Decompressor | None = None  # None between two packed streams
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            packed = self._packed or self._raw.read(_CHUNK_BYTES) or b""
            self._packed = b""
            if not packed:
                if self._stream is None:
                    return 0
                raise DamagedError("the file is truncated")
            if self._stream is None:
                packed = packed.lstrip(b"\0")  # xz and gzip allow padding between streams
                if not packed:
                    continue
                self._stream = self._new_decompressor()
            try:
                self._ready = memoryview(self._stream.decompress(packed))
            except self._error as error:
                raise DamagedError(f"the packed data is corrupt: {error}") from None
            if self._stream.eof:
                self._packed = self._stream.unused_data
                self._stream = None
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
