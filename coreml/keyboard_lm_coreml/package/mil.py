"""From the bytes of a function to its operations.

Source: coremltools' `MIL.proto`, whose field numbers stand in each function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm_coreml.package.data_types import MIL_TYPES, DataType, unpack
from keyboard_lm_coreml.package.program import (
    Binding,
    BlobReference,
    Constant,
    Function,
    NamedType,
    Operation,
    TensorType,
)
from keyboard_lm_coreml.package.protobuf import (
    MalformedError,
    as_bytes,
    as_int,
    as_name,
    fields,
    map_entry,
    packed_floats,
    packed_ints,
)
from keyboard_lm_coreml.package.weight_file import WeightFile

_MAX_RANK = 16
_MAX_SIZE = 1 << 31
_MAX_ELEMENTS = 1 << 40
OpenWeights = Callable[[str], WeightFile]


def parse_function(name: str, body: memoryview, weights: OpenWeights) -> Function:
    """Read a function's body (Function: 1 inputs, 2 opset, 3 blocks by opset).

    Args:
        name: the function's name.
        body: its bytes.
        weights: returns an opened weight file by the name that the program has for it.

    Raises:
        MalformedError: it is broken; the message names the operation.
    """
    opset = ""
    inputs: list[NamedType] = []
    blocks: dict[str, memoryview] = {}
    for number, value in fields(body):
        if number == 1:
            inputs.append(_named_type(as_bytes(value)))
        elif number == 2:
            opset = as_name(value)
        elif number == 3:
            key, block = map_entry(value)
            blocks[key] = block
    if opset not in blocks:
        raise MalformedError(f"function {name}: no body for its opset '{opset}'")
    outputs: list[str] = []
    operations: list[Operation] = []
    for number, value in fields(blocks[opset]):  # Block: 2 outputs, 3 operations
        if number == 2:
            outputs.append(as_name(value))
        elif number == 3:
            try:
                operations.append(_operation(len(operations), as_bytes(value), weights))
            except MalformedError as error:
                raise MalformedError(f"function {name}, operation {len(operations)}: {error}") from None
    return Function(name, opset, tuple(inputs), tuple(outputs), tuple(operations))


def _operation(index: int, data: memoryview, weights: OpenWeights) -> Operation:
    # Operation: 1 type, 2 inputs, 3 outputs, 4 blocks, 5 attributes.
    kind, num_blocks = "", 0
    inputs: dict[str, tuple[Binding, ...]] = {}
    outputs: list[NamedType] = []
    attributes: dict[str, Constant] = {}
    name = ""
    for number, value in fields(data):
        if number == 1:
            kind = as_name(value)
        elif number == 2:
            key, argument = map_entry(value)
            inputs[key] = _bindings(argument, weights)
        elif number == 3:
            outputs.append(_named_type(as_bytes(value)))
        elif number == 4:
            num_blocks += 1
        elif number == 5:
            key, content = map_entry(value)
            constant = _constant(content, weights)
            if constant is None:
                continue
            if key == "name":
                name = constant.text()
            else:
                attributes[key] = constant
    if not kind:
        raise MalformedError("it has no type")
    name = name or (outputs[0].name if outputs else "")
    return Operation(index, kind, name, inputs, tuple(outputs), attributes, num_blocks)


def _bindings(argument: memoryview, weights: OpenWeights) -> tuple[Binding, ...]:
    # Argument: 1 bindings; Binding: 1 name, 2 value.
    bindings: list[Binding] = []
    for number, value in fields(argument):
        if number != 1:
            continue
        for kind, content in fields(as_bytes(value)):
            if kind == 1:
                bindings.append(as_name(content))
            elif kind == 2:
                constant = _constant(as_bytes(content), weights)
                if constant is None:
                    raise MalformedError("a parameter's value is no tensor")
                bindings.append(constant)
    return tuple(bindings)


def _named_type(data: memoryview) -> NamedType:
    # NamedValueType: 1 name, 2 type.
    name, found = "", None
    for number, value in fields(data):
        if number == 1:
            name = as_name(value)
        elif number == 2:
            found = _tensor_type(as_bytes(value))
    if found is None:
        raise MalformedError(f"'{name}' has no tensor type")
    return NamedType(name, found)


def _tensor_type(data: memoryview) -> TensorType | None:
    # ValueType: 1 tensor, 5 state (which wraps a tensor); None for lists, tuples and dictionaries.
    for number, value in fields(data):
        if number == 1:
            return _tensor(as_bytes(value))
        if number == 5:
            for wrapped, content in fields(as_bytes(value)):  # StateType: 1 wrapped type
                if wrapped == 1:
                    for inner, tensor in fields(as_bytes(content)):
                        if inner == 1:
                            found = _tensor(as_bytes(tensor))
                            return TensorType(found.dtype, found.shape, is_state=True)
            raise MalformedError("a state wraps no tensor")
    return None


def _tensor(data: memoryview) -> TensorType:
    # TensorType: 1 data type, 2 rank, 3 dimensions (1 constant: 1 size; 2 unknown).
    dtype: DataType | None = None
    shape: list[int | None] = []
    for number, value in fields(data):
        if number == 1:
            dtype = MIL_TYPES.get(as_int(value))
            if dtype is None:
                raise MalformedError(f"unknown data type {as_int(value)}")
        elif number == 3:
            size: int | None = 0
            for kind, content in fields(as_bytes(value)):
                if kind == 1:
                    size = next((as_int(n) for found, n in fields(as_bytes(content)) if found == 1), 0)
                elif kind == 2:
                    size = None
            shape.append(size)
    if dtype is None:
        raise MalformedError("a tensor has no data type")
    if len(shape) > _MAX_RANK:
        raise MalformedError(f"a tensor has {len(shape)} axes")
    sizes = [size for size in shape if size]
    if max(sizes, default=0) > _MAX_SIZE or math.prod(sizes) > _MAX_ELEMENTS:
        raise MalformedError(f"a tensor has shape {tuple(shape)}")
    return TensorType(dtype, tuple(shape))


@dataclass(frozen=True)
class _Immediate:
    """Values inside the program (TensorValue)."""

    data: memoryview

    def array(self, dtype: DataType, count: int) -> NDArray[Any]:
        # TensorValue: 1 floats, 2 ints, 3 bools, 4 strings, 5 long ints, 6 doubles, 7 bytes; each holds 1 values.
        values: NDArray[Any]
        for number, value in fields(self.data):
            content = as_bytes(value)
            if number in (1, 6):
                values = packed_floats(content, 1, "<f4" if number == 1 else "<f8")
            elif number in (2, 3, 5):
                values = _as_int64(packed_ints(content, 1))
            elif number == 7:
                packed = next((as_bytes(v) for found, v in fields(content) if found == 1), memoryview(b""))
                return unpack(packed, dtype, count)
            else:
                continue
            if dtype.numpy is None:
                raise MalformedError(f"values of type {dtype.name} cannot be read")
            if len(values) != count:
                raise MalformedError(f"{len(values)} values where the shape has {count}")
            with np.errstate(over="ignore", invalid="ignore"):
                return values.astype(dtype.numpy)
        if count == 0 and dtype.numpy is not None:
            return np.zeros(0, dtype.numpy)
        raise MalformedError(f"no values where the shape has {count}")

    def text(self) -> str:
        for number, value in fields(self.data):
            if number == 4:
                texts = [as_name(v) for found, v in fields(as_bytes(value)) if found == 1]
                if len(texts) == 1:
                    return texts[0]
        raise MalformedError("a text is missing")


@dataclass(frozen=True)
class _InFile:
    """Values in a weight file."""

    weights: OpenWeights
    reference: BlobReference

    def array(self, dtype: DataType, count: int) -> NDArray[Any]:
        return self.weights(self.reference.file).read(self.reference.offset, dtype, count)

    def text(self) -> str:
        raise MalformedError("a text stands in a weight file")


def _constant(data: memoryview, weights: OpenWeights) -> Constant | None:
    # Value: 2 type, 3 immediate (1 tensor), 5 blob file (1 name, 2 offset); None for lists and dictionaries.
    found: TensorType | None = None
    stored: _Immediate | _InFile | None = None
    blob: BlobReference | None = None
    for number, value in fields(data):
        if number == 2:
            found = _tensor_type(as_bytes(value))
        elif number == 3:
            for kind, content in fields(as_bytes(value)):
                if kind == 1:
                    stored = _Immediate(as_bytes(content))
        elif number == 5:
            file, offset = "", 0
            for kind, content in fields(as_bytes(value)):
                if kind == 1:
                    file = as_name(content)
                elif kind == 2:
                    offset = as_int(content)
            blob = BlobReference(file, offset)
            stored = _InFile(weights, blob)
    if found is None:
        return None
    if stored is None:
        raise MalformedError("a constant has no value")
    if found.fixed_shape is None:
        raise MalformedError("a constant's shape is not fixed")
    return Constant(found, blob, stored)


def _as_int64(values: list[int]) -> NDArray[np.int64]:
    return np.array(values, np.int64)
