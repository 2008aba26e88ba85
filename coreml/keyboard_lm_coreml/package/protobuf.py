"""Protobuf's wire format, read with every length checked.

Only what reading needs: a message is the list of its fields, each a number and either an integer (varint, fixed 32 or
64 bits) or the bytes of a string, a nested message or a packed list. Nothing is copied, and nothing is allocated for a
length before that many bytes are known to be there.

Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import PackageError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_MAX_NAME = 1000


class MalformedError(PackageError):
    """What is wrong with a piece of a file; whoever knows where the piece lies adds that to the message."""


Field = tuple[int, "int | memoryview"]


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the integer at `at` and the offset behind it.

    Raises:
        MalformedError: the data end inside it, or it has more than 64 bits.
    """
    value = 0
    for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
        if at >= len(data):
            raise MalformedError("the data end inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise MalformedError("a number has more than 64 bits")


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message in the order of the file; those with fixed width come as unsigned integers.

    Raises:
        MalformedError: a field reaches over the message's end, or has no wire type that is in use.
    """
    at, end = 0, len(message)
    while at < end:
        tag = message[at]
        at += 1
        if tag >= 0x80:
            tag, at = read_varint(message, at - 1)
        wire = tag & 7
        number = tag >> 3
        if number == 0:
            raise MalformedError("a field has number 0")
        if wire == _BYTES:
            if at < end and message[at] < 0x80:  # one byte of length: most fields
                size = message[at]
                at += 1
            else:
                size, at = read_varint(message, at)
            if size > end - at:
                raise MalformedError(f"field {number} claims {size} bytes where {end - at} are left")
            yield number, message[at : at + size]
            at += size
        elif wire == _VARINT:
            value, at = read_varint(message, at)
            yield number, value
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
            if size > end - at:
                raise MalformedError(f"field {number} is cut short")
            yield number, int.from_bytes(message[at : at + size], "little")
            at += size
        else:
            raise MalformedError(f"field {number} has wire type {wire}")


def as_bytes(value: int | memoryview) -> memoryview:
    """Return a field's bytes.

    Raises:
        MalformedError: it holds a number.
    """
    if isinstance(value, int):
        raise MalformedError("a number stands where text or a message belongs")
    return value


def as_int(value: int | memoryview) -> int:
    """Return a field's number, unsigned.

    Raises:
        MalformedError: it holds bytes.
    """
    if not isinstance(value, int):
        raise MalformedError("bytes stand where a number belongs")
    return value


def as_signed(value: int | memoryview) -> int:
    """Return a field's number as protobuf's int32 and int64 mean it: two's complement in 64 bits."""
    number = as_int(value)
    return number - (1 << 64) if number >> 63 else number


def as_text(value: int | memoryview) -> str:
    """Return a field's text.

    Raises:
        MalformedError: it is a number, or not UTF-8.
    """
    try:
        return str(as_bytes(value), "utf-8")
    except UnicodeDecodeError:
        raise MalformedError("a name is not UTF-8") from None


def as_name(value: int | memoryview) -> str:
    """Return a field's text that is a name: what an error message may hold.

    Raises:
        MalformedError: it is no text, or has characters that no name has.
    """
    name = as_text(value)
    if not name.isprintable() or len(name) > _MAX_NAME:
        raise MalformedError("a name is too long or has characters that cannot be printed")
    return name


def map_entry(entry: int | memoryview) -> tuple[str, memoryview]:
    """Return key and value of one entry of a map from names to messages.

    Raises:
        MalformedError: the entry is broken.
    """
    key, value = "", memoryview(b"")
    for number, content in fields(as_bytes(entry)):
        if number == 1:
            key = as_name(content)
        elif number == 2:
            value = as_bytes(content)
    return key, value


def packed_ints(message: memoryview, number: int) -> list[int]:
    """Return the signed integers of a repeated varint field, packed or not.

    Raises:
        MalformedError: the list is broken.
    """
    values: list[int] = []
    for found, content in fields(message):
        if found != number:
            continue
        if isinstance(content, int):
            values.append(as_signed(content))
            continue
        at = 0
        while at < len(content):
            value, at = read_varint(content, at)
            values.append(as_signed(value))
    return values


def packed_floats(message: memoryview, number: int, dtype: str) -> NDArray[np.float64]:
    """Return a repeated float (`dtype` "<f4") or double ("<f8") field, packed or not.

    Raises:
        MalformedError: the list is broken.
    """
    width = np.dtype(dtype).itemsize
    chunks: list[bytes] = []
    for found, content in fields(message):
        if found != number:
            continue
        chunk = content.to_bytes(8, "little")[:width] if isinstance(content, int) else bytes(content)
        if len(chunk) % width:
            raise MalformedError("a list of floats is cut short")
        chunks.append(chunk)
    return np.frombuffer(b"".join(chunks), dtype).astype(np.float64)
