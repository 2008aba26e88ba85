"""Compressed weights, decoded as coremltools decodes them, bit for bit.

Source: coremltools' definitions of the iOS 18 operations (converters/mil/mil/ops/defs/iOS18/compression.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm_coreml.package.program import Function, Operation
from keyboard_lm_coreml.package.protobuf import MalformedError

Array = NDArray[Any]
_MAX_VECTOR = 8  # weights that one index may stand for: bounds what a small file can grow to
_CHUNK = 1 << 20  # indices looked up at a time: numpy widens them to 64 bits


def decode(function: Function, operation: Operation) -> Array:
    """Return the dense weights of a `constexpr_*` operation, in the type it declares.

    Raises:
        MalformedError: the operation is not one of `KINDS`, or its parts do not fit each other or what it declares.
    """
    if operation.kind not in KINDS:
        raise MalformedError(f"weights compressed by {operation.kind} cannot be read")
    if len(operation.outputs) != 1:
        raise MalformedError("compressed weights have one output")
    inputs: dict[str, Array] = {}
    bits: dict[str, int] = {}
    for name, bindings in operation.inputs.items():
        constant = function.constant(bindings[0]) if len(bindings) == 1 else None
        if constant is None:
            raise MalformedError(f"its {name} is no constant")
        if constant.type.dtype.numpy is None:
            continue  # a text: the type that a cast names, which its output has as well
        inputs[name] = constant.array()
        bits[name] = constant.type.dtype.bits
    result = KINDS[operation.kind](inputs, bits)
    declared = operation.outputs[0].type
    if result.shape != declared.fixed_shape:
        raise MalformedError(f"it holds weights of shape {result.shape}, but declares {declared}")
    if declared.dtype.numpy is None:
        raise MalformedError(f"weights of type {declared.dtype.name} cannot be read")
    return result.astype(declared.dtype.numpy, copy=False)


def lut_to_dense(indices: Array, lut: Array, vector_axis: int | None = None) -> Array:
    """Look palettized weights up.

    Args:
        indices: rank K, unsigned.
        lut: (groups along each of the K axes, entries, V): the values that indices stand for.
        vector_axis: the axis that a vector's V values go along; needed if V > 1.

    Returns:
        The weights: `indices`' shape, `vector_axis` V times as long.

    Raises:
        MalformedError: the shapes do not fit each other.
    """
    rank = indices.ndim
    if rank < 1 or lut.ndim != rank + 2:
        raise MalformedError(f"look-up tables have {lut.ndim} axes and their indices {rank}")
    groups, (entries, size) = lut.shape[:rank], lut.shape[rank:]
    if any(g < 1 or n % g for n, g in zip(indices.shape, groups, strict=True)):
        raise MalformedError(f"look-up tables of shape {lut.shape} do not divide indices of shape {indices.shape}")
    if not 1 <= size <= _MAX_VECTOR:
        raise MalformedError(f"an index stands for {size} weights; 1 to {_MAX_VECTOR} can be read")
    if size > 1 and (vector_axis is None or not -rank <= vector_axis < rank):
        raise MalformedError("the axis of weight vectors is missing or no axis")
    if indices.size and int(indices.max()) >= entries:
        raise MalformedError(f"an index is over the {entries} entries of its look-up table")
    blocks = [n // g for n, g in zip(indices.shape, groups, strict=True)]
    split = indices.reshape([n for pair in zip(groups, blocks, strict=True) for n in pair])  # (g0, b0, g1, b1, ...)
    by_group = split.transpose([*range(0, 2 * rank, 2), *range(1, 2 * rank, 2)])  # (g0, g1, ..., b0, b1, ...)
    by_group = by_group.reshape(math.prod(groups), math.prod(blocks))  # (groups, block)
    tables = lut.reshape(math.prod(groups), entries, size)  # (groups, entries, V)
    found = np.empty((*by_group.shape, size), lut.dtype)  # (groups, block, V)
    for group, table in enumerate(tables):
        for start in range(0, by_group.shape[1], _CHUNK):
            part = slice(start, start + _CHUNK)
            found[group, part] = table[by_group[group, part]]
    found = found.reshape(*groups, *blocks, size)
    order = [axis for pair in zip(range(rank), range(rank, 2 * rank), strict=True) for axis in pair]
    dense = found.transpose([*order, 2 * rank]).reshape(*indices.shape, size)  # (d0, d1, ..., V)
    if size == 1:
        return dense[..., 0]
    axis = (vector_axis or 0) % rank
    shape = tuple(n * size if i == axis else n for i, n in enumerate(indices.shape))
    return np.moveaxis(dense, -1, axis + 1).reshape(shape)


def blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> Array:
    """Return `scale * (data - offset)`, each scale and offset for one block of the data, in the scale's precision.

    Raises:
        MalformedError: the shapes do not fit each other.
    """
    if scale.ndim != data.ndim or any(s < 1 or n % s for n, s in zip(data.shape, scale.shape, strict=True)):
        raise MalformedError(f"scales of shape {scale.shape} do not divide weights of shape {data.shape}")
    if offset is not None and offset.shape != scale.shape:
        raise MalformedError(f"offsets of shape {offset.shape} beside scales of shape {scale.shape}")
    split = [n for size, s in zip(data.shape, scale.shape, strict=True) for n in (s, size // s)]
    each = [n for s in scale.shape for n in (s, 1)]
    values = data.astype(scale.dtype).reshape(split)
    with np.errstate(over="ignore", invalid="ignore"):
        if offset is not None:
            values = values - offset.reshape(each)
        values = scale.reshape(each) * values
    return values.reshape(data.shape)


def sparse_to_dense(nonzero: Array, mask: Array) -> Array:
    """Return zeros with the given values where the mask is 1, in the order of the file.

    Raises:
        MalformedError: there are more or fewer values than ones.
    """
    ones = int(np.count_nonzero(mask))
    if nonzero.ndim != 1 or len(nonzero) != ones:
        raise MalformedError(f"{nonzero.size} values where the mask has {ones} places")
    dense = np.zeros(mask.shape, nonzero.dtype)
    dense[mask != 0] = nonzero
    return dense


def _lut(inputs: Mapping[str, Array], bits: Mapping[str, int]) -> Array:
    lut = _required(inputs, "lut")
    indices = _required(inputs, "indices")
    if lut.ndim < 2 or lut.shape[-2] != 1 << bits["indices"]:
        raise MalformedError(f"indices of {bits['indices']} bits have look-up tables of shape {lut.shape}")
    axis = inputs.get("vector_axis")
    if axis is not None and axis.ndim:
        raise MalformedError("the axis of weight vectors is no single number")
    return lut_to_dense(indices, lut, None if axis is None else int(axis))


def _shift_scale(inputs: Mapping[str, Array], bits: Mapping[str, int]) -> Array:
    return blockwise_shift_scale(_required(inputs, "data"), _required(inputs, "scale"), inputs.get("offset"))


def _sparse(inputs: Mapping[str, Array], bits: Mapping[str, int]) -> Array:
    return sparse_to_dense(_required(inputs, "nonzero_data"), _required(inputs, "mask"))


def _cast(inputs: Mapping[str, Array], bits: Mapping[str, int]) -> Array:
    return _required(inputs, "source_val")


def _required(inputs: Mapping[str, Array], name: str) -> Array:
    if name not in inputs:
        raise MalformedError(f"its {name} is missing")
    return inputs[name]


KINDS: Mapping[str, Callable[[Mapping[str, Array], Mapping[str, int]], Array]] = {
    "constexpr_lut_to_dense": _lut,
    "constexpr_blockwise_shift_scale": _shift_scale,
    "constexpr_sparse_to_dense": _sparse,
    "constexpr_cast": _cast,
}
