"""Data types of ML Programs: their numbers in MIL and in weight files, their widths, and how they lie packed.

Sources: coremltools' `MIL.proto` (DataType) and MILBlob's storage format (BlobDataType, sub-byte packing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm_coreml.package.protobuf import MalformedError


@dataclass(frozen=True)
class DataType:
    """One element type.

    Attributes:
        name: MIL's name in lower case.
        bits: width of a stored element.
        numpy: the type that holds one element in memory; None for text and for types that numpy lacks.
    """

    name: str
    bits: int
    numpy: np.dtype[Any] | None

    @property
    def is_float(self) -> bool:
        return self.name in ("float16", "float32", "float64", "bfloat16")


def _of(name: str, bits: int, numpy: str | None) -> DataType:
    return DataType(name, bits, None if numpy is None else np.dtype(numpy))


MIL_TYPES = {
    1: _of("bool", 8, "bool"),
    2: _of("string", 0, None),
    10: _of("float16", 16, "<f2"),
    11: _of("float32", 32, "<f4"),
    12: _of("float64", 64, "<f8"),
    13: _of("bfloat16", 16, None),
    21: _of("int8", 8, "int8"),
    22: _of("int16", 16, "<i2"),
    23: _of("int32", 32, "<i4"),
    24: _of("int64", 64, "<i8"),
    25: _of("int4", 4, "int8"),
    31: _of("uint8", 8, "uint8"),
    32: _of("uint16", 16, "<u2"),
    33: _of("uint32", 32, "<u4"),
    34: _of("uint64", 64, "<u8"),
    35: _of("uint4", 4, "uint8"),
    36: _of("uint2", 2, "uint8"),
    37: _of("uint1", 1, "uint8"),
    38: _of("uint6", 6, "uint8"),
    39: _of("uint3", 3, "uint8"),
    40: _of("float8e4m3fn", 8, None),
    41: _of("float8e5m2", 8, None),
}
BY_NAME = {dtype.name: dtype for dtype in MIL_TYPES.values()}

BLOB_TYPES = {
    1: "float16", 2: "float32", 3: "uint8", 4: "int8", 5: "bfloat16", 6: "int16", 7: "uint16", 8: "int4", 9: "uint1",
    10: "uint2", 11: "uint4", 12: "uint3", 13: "uint6", 14: "int32", 15: "uint32", 16: "float8e4m3fn",
    17: "float8e5m2",
}  # fmt: skip

# Arrays in the interface of a model (FeatureTypes.proto, ArrayDataType).
FEATURE_TYPES = {65552: "float16", 65568: "float32", 65600: "float64", 131080: "int8", 131104: "int32"}


def packed_bytes(dtype: DataType, count: int) -> int:
    """Return the bytes that `count` elements take."""
    return (dtype.bits * count + 7) // 8


def unpack(data: memoryview | bytes, dtype: DataType, count: int) -> NDArray[Any]:
    """Return `count` elements as a flat array.

    Narrow elements fill each byte from its lowest bit on, and one may cross into the next byte.

    Raises:
        MalformedError: numpy has no such type, or the data have another length.
    """
    if dtype.numpy is None:
        raise MalformedError(f"values of type {dtype.name} cannot be read")
    if len(data) != packed_bytes(dtype, count):
        expected = packed_bytes(dtype, count)
        raise MalformedError(f"{count} values of {dtype.name} take {expected} bytes, but {len(data)} are stored")
    if dtype.bits >= 8:
        return np.frombuffer(data, dtype.numpy)
    raw = np.frombuffer(data, np.uint8)
    values: NDArray[Any]
    if 8 % dtype.bits == 0:
        shifts = np.arange(0, 8, dtype.bits, dtype=np.uint8)
        values = ((raw[:, None] >> shifts) & ((1 << dtype.bits) - 1)).reshape(-1)[:count]
    else:  # three bytes hold a whole number of elements of 3 or 6 bits
        padded = np.zeros((len(raw) + 2) // 3 * 3, np.uint32)
        padded[: len(raw)] = raw
        words = padded[0::3] | padded[1::3] << 8 | padded[2::3] << 16
        shifts = np.arange(0, 24, dtype.bits, dtype=np.uint32)
        values = ((words[:, None] >> shifts) & ((1 << dtype.bits) - 1)).astype(np.uint8).reshape(-1)[:count]
    if dtype.name.startswith("int"):  # two's complement
        sign = 1 << (dtype.bits - 1)
        values = (values.astype(np.int8) ^ sign) - sign
    values = values.astype(dtype.numpy, copy=False)
    return values
