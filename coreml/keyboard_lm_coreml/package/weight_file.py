"""The weight file of a package: records of packed values, found by their offset.

A file begins with 64 bytes (number of records, version, zeros). A record is 64 bytes of metadata (sentinel, type, size,
offset of the values, bits of padding) and the values, aligned to 64 bytes somewhere behind.

Source: MILBlob's storage format, version 2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from keyboard_lm_coreml.package.data_types import BLOB_TYPES, BY_NAME, DataType, packed_bytes, unpack
from keyboard_lm_coreml.package.protobuf import MalformedError

_HEADER = struct.Struct("<II56x")
_RECORD = struct.Struct("<IIQQQ32x")
_SENTINEL = 0xDEADBEEF
_VERSION = 2


@dataclass(frozen=True)
class BlobRecord:
    """One record's metadata: where its values lie and what they are."""

    dtype: DataType
    offset: int
    num_bytes: int


class WeightFile:
    """Reads records, each when it is asked for; the file is opened anew each time and never held.

    Raises:
        MalformedError: it cannot be read or has another format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.num_bytes = path.stat().st_size
            header = self._read(0, _HEADER.size)
        except OSError as error:
            raise MalformedError(f"{path.name}: cannot be read ({error.strerror})") from None
        _, version = _HEADER.unpack(header)
        if version != _VERSION:
            raise MalformedError(f"{path.name}: version {version} of the weight format, but {_VERSION} is read here")

    def record(self, offset: int) -> BlobRecord:
        """Return what the record at `offset` says about its values.

        Raises:
            MalformedError: there is none, or its values lie outside the file.
        """
        sentinel, kind, num_bytes, start, _ = _RECORD.unpack(self._read(offset, _RECORD.size))
        if sentinel != _SENTINEL:
            raise MalformedError(f"{self.path.name}: no record at byte {offset}")
        if kind not in BLOB_TYPES:
            raise MalformedError(f"{self.path.name}: the record at byte {offset} has unknown type {kind}")
        if start + num_bytes > self.num_bytes:
            raise MalformedError(
                f"{self.path.name}: the record at byte {offset} ends at {start + num_bytes}, "
                f"but the file has {self.num_bytes} bytes"
            )
        return BlobRecord(BY_NAME[BLOB_TYPES[kind]], start, num_bytes)

    def read(self, offset: int, dtype: DataType, count: int) -> NDArray[Any]:
        """Return the values of the record at `offset`, flat.

        Raises:
            MalformedError: the record is of another type or length, or broken.
        """
        record = self.record(offset)
        if record.dtype != dtype:
            raise MalformedError(
                f"{self.path.name}: the record at byte {offset} holds {record.dtype.name}, not {dtype.name}"
            )
        if record.num_bytes != packed_bytes(dtype, count):
            raise MalformedError(
                f"{self.path.name}: the record at byte {offset} has {record.num_bytes} bytes, "
                f"not the {packed_bytes(dtype, count)} of {count} values of {dtype.name}"
            )
        return unpack(self._read(record.offset, record.num_bytes), dtype, count)

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size > self.num_bytes:
            raise MalformedError(f"{self.path.name}: nothing at byte {offset}, the file has {self.num_bytes}")
        try:
            with self.path.open("rb") as stream:
                stream.seek(offset)
                data = stream.read(size)
        except OSError as error:
            raise MalformedError(f"{self.path.name}: cannot be read ({error.strerror})") from None
        if len(data) != size:
            raise MalformedError(f"{self.path.name}: changed while it was read")
        return data
