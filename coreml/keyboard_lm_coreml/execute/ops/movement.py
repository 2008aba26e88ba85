"""Operations that move values without changing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keyboard_lm_coreml.execute.ops.kernel import Array, Builder, Kernel, Node, Shape, size_of
from keyboard_lm_coreml.package.protobuf import MalformedError


def _identity(node: Node) -> Kernel:
    x = node.value("x")
    return Kernel((x,), lambda x: x, (x.shape,), is_exact=True, is_view=True)


def _reshape(node: Node) -> Kernel:
    x = node.value("x")
    declared = node.operation.outputs[0].type.fixed_shape or ()
    if node.value("shape").is_constant:
        wanted = node.ints("shape")
        wanted = tuple(x.shape[i] if n == 0 and i < len(x.shape) else n for i, n in enumerate(wanted))
        if len(wanted) != len(declared) or any(n not in (-1, d) for n, d in zip(wanted, declared, strict=True)):
            raise MalformedError(f"it reshapes to {wanted}, but declares {declared}")
    if size_of(declared) != size_of(x.shape):
        raise MalformedError(f"shape {x.shape} cannot become {declared}")
    return Kernel((x,), lambda x: x.reshape(declared), (declared,), is_exact=True, is_view=True)


def _transpose(node: Node) -> Kernel:
    x = node.value("x")
    perm = node.axes("perm", len(x.shape))
    if len(perm) != len(x.shape):
        raise MalformedError(f"its perm has {len(perm)} axes for {len(x.shape)}")
    shape = tuple(x.shape[axis] for axis in perm)
    return Kernel((x,), lambda x: x.transpose(perm), (shape,), is_exact=True, is_view=True)


def _expand_dims(node: Node) -> Kernel:
    x = node.value("x")
    rank = len(x.shape) + len(node.ints("axes"))
    axes = node.axes("axes", rank)
    rest = iter(x.shape)
    shape = tuple(1 if axis in axes else next(rest) for axis in range(rank))
    return Kernel((x,), lambda x: x.reshape(shape), (shape,), is_exact=True, is_view=True)


def _squeeze(node: Node) -> Kernel:
    x = node.value("x")
    axes = node.axes("axes", len(x.shape), tuple(axis for axis, size in enumerate(x.shape) if size == 1))
    if any(x.shape[axis] != 1 for axis in axes):
        raise MalformedError(f"axes {axes} of shape {x.shape} cannot be squeezed")
    shape = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
    return Kernel((x,), lambda x: x.reshape(shape), (shape,), is_exact=True, is_view=True)


def _concat(node: Node) -> Kernel:
    values = node.values("values")
    if node.flag("interleave"):
        raise MalformedError("interleaved concatenation cannot be run")
    rank = len(values[0].shape)
    axis = node.axis("axis", rank)
    rests = {value.shape[:axis] + value.shape[axis + 1 :] for value in values}
    if len(rests) != 1 or any(len(value.shape) != rank for value in values):
        raise MalformedError(f"shapes {', '.join(str(value.shape) for value in values)} cannot be joined")
    shape = (*values[0].shape[:axis], sum(value.shape[axis] for value in values), *values[0].shape[axis + 1 :])
    return Kernel(values, lambda *parts: np.concatenate(parts, axis), (shape,), is_exact=True)


def _stack(node: Node) -> Kernel:
    values = node.values("values")
    axis = node.axis("axis", len(values[0].shape) + 1)
    if len({value.shape for value in values}) != 1:
        raise MalformedError("values of different shapes cannot be stacked")
    shape = (*values[0].shape[:axis], len(values), *values[0].shape[axis:])
    return Kernel(values, lambda *parts: np.stack(parts, axis), (shape,), is_exact=True)


def _split(node: Node) -> Kernel:
    x = node.value("x")
    axis = node.axis("axis", len(x.shape))
    count = len(node.operation.outputs)
    even = (x.shape[axis] // max(count, 1),) * count
    sizes = node.ints("split_sizes", even)
    if len(sizes) != count or sum(sizes) != x.shape[axis] or min(sizes, default=-1) < 0:
        raise MalformedError(f"{x.shape[axis]} cannot be split into {sizes}")
    ends = np.cumsum(sizes)
    cuts = [(slice(None),) * axis + (slice(int(end) - n, int(end)),) for n, end in zip(sizes, ends, strict=True)]
    shapes = tuple((*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in sizes)
    return Kernel((x,), lambda x: tuple(x[cut] for cut in cuts), shapes, is_exact=True, is_view=True)


def _tile(node: Node) -> Kernel:
    x, reps = node.value("x"), node.ints("reps")
    if len(reps) != len(x.shape) or min(reps, default=1) < 0:
        raise MalformedError(f"shape {x.shape} cannot be repeated {reps} times")
    shape = tuple(size * times for size, times in zip(x.shape, reps, strict=True))
    return Kernel((x,), lambda x: np.tile(x, reps), (shape,), is_exact=True)


def _gather(node: Node) -> Kernel:
    x, indices = node.value("x"), node.value("indices")
    axis = node.axis("axis", len(x.shape), 0)
    if node.integer("batch_dims", 0):
        raise MalformedError("gather with batch dimensions cannot be run")
    size = x.shape[axis]
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])

    def call(x: Array, indices: Array) -> Any:
        if indices.size and not (-size <= int(indices.min()) and int(indices.max()) < size):
            raise IndexError(f"index {int(indices.max())} of a table of {size}")
        return x.take(indices, axis)

    return Kernel((x, indices), call, (shape,), is_exact=True)


def _shape(node: Node) -> Kernel:
    x = node.value("x")
    sizes = np.array(x.shape, np.int32)
    return Kernel((), lambda: sizes, ((len(x.shape),),), is_exact=True)


def _range_1d(node: Node) -> Kernel:
    start, end, step = (node.value(name).array() for name in ("start", "end", "step"))
    if any(number.size != 1 for number in (start, end, step)) or float(step.reshape(())) == 0:
        raise MalformedError("its start, end and step are no numbers")
    declared = node.operation.outputs[0].type.fixed_shape or ()
    first, by = start.reshape(()), step.reshape(())
    length = max(0, int(np.ceil((float(end.reshape(())) - float(first)) / float(by))))
    return Kernel((), lambda: first + by * np.arange(declared[0], dtype=first.dtype), ((length,),), is_exact=True)


def _fill(node: Node) -> Kernel:
    shape, value = node.ints("shape"), node.value("value").array()
    if value.size != 1 or min(shape, default=0) < 0:
        raise MalformedError(f"a shape of {shape} cannot be filled")
    return Kernel((), lambda: np.full(shape, value.reshape(())), (shape,), is_exact=True)


def slices(
    shape: Shape,
    begin: Sequence[int],
    end: Sequence[int],
    stride: Sequence[int],
    begin_mask: Sequence[int],
    end_mask: Sequence[int],
    squeeze_mask: Sequence[int],
) -> tuple[slice | int, ...]:
    """Return the index that slice_by_index and slice_update mean; see `Slicing`."""
    index: list[slice | int] = []
    for axis, size in enumerate(shape):
        first, last, step = int(begin[axis]), int(end[axis]), stride[axis]
        if squeeze_mask[axis]:
            index.append(first)
            continue
        low = None if begin_mask[axis] else first + size if first < 0 else first
        high = None if end_mask[axis] else last + size if last < 0 else last
        index.append(slice(low, high, step))
    return tuple(index)


class Slicing:
    """The part of a value that slice_by_index reads and slice_update writes.

    Args:
        node: the operation; begins and ends may be computed when it runs.

    Raises:
        MalformedError: its parameters do not fit the value's axes.
    """

    def __init__(self, node: Node) -> None:
        self.x = node.value("x")
        rank = len(self.x.shape)
        self.begin, self.end = node.value("begin"), node.value("end")
        self.stride = node.ints("stride", (1,) * rank)
        zeros = (0,) * rank
        self.masks = tuple(node.ints(name, zeros) for name in ("begin_mask", "end_mask", "squeeze_mask"))
        lengths = [len(self.stride), *map(len, self.masks), size_of(self.begin.shape), size_of(self.end.shape)]
        if any(length != rank for length in lengths) or 0 in self.stride:
            raise MalformedError(f"its begin, end, stride and masks do not fit {rank} axes")

    @property
    def is_fixed(self) -> bool:
        """The part is known before the operation runs."""
        return self.begin.is_constant and self.end.is_constant

    def index(self, begin: Array, end: Array) -> tuple[slice | int, ...]:
        """Return the part as numpy's index."""
        return slices(self.x.shape, begin.reshape(-1).tolist(), end.reshape(-1).tolist(), self.stride, *self.masks)

    def shape(self) -> Shape:
        """Return the shape of a fixed part.

        Raises:
            MalformedError: it lies outside the value.
        """
        sizes: list[int] = []
        for part, size in zip(self.index(self.begin.array(), self.end.array()), self.x.shape, strict=True):
            if isinstance(part, slice):
                sizes.append(len(range(*part.indices(size))))
            elif not -size <= part < size:
                raise MalformedError(f"place {part} of an axis of {size}")
        return tuple(sizes)


def _slice_by_index(node: Node) -> Kernel:
    part = Slicing(node)
    if part.is_fixed:
        index = part.index(part.begin.array(), part.end.array())
        return Kernel((part.x,), lambda x: x[index], (part.shape(),), is_exact=True, is_view=True)
    declared = node.operation.outputs[0].type.fixed_shape or ()

    def call(x: Array, begin: Array, end: Array) -> Array:
        found: Array = x[part.index(begin, end)]
        if found.shape != declared:
            raise IndexError(f"the slice has shape {found.shape}, not {declared}")
        return found

    return Kernel((part.x, part.begin, part.end), call, (declared,), is_exact=True, is_view=True)


def _slice_by_size(node: Node) -> Kernel:
    x, begin, size = node.value("x"), node.value("begin"), node.ints("size")
    if len(size) != len(x.shape) or size_of(begin.shape) != len(x.shape) or min(size, default=1) < 0:
        raise MalformedError(f"its begin and size do not fit {len(x.shape)} axes")

    def call(x: Array, begin: Array) -> Array:
        starts = begin.reshape(-1).tolist()
        found: Array = x[tuple(slice(start, start + n) for start, n in zip(starts, size, strict=True))]
        if found.shape != size:
            raise IndexError(f"the slice has shape {found.shape}, not {size}")
        return found

    return Kernel((x, begin), call, (size,), is_exact=True, is_view=True)


def _slice_update(node: Node) -> Kernel:
    write = updater(node)

    def call(x: Array, update: Array, begin: Array, end: Array) -> Array:
        updated: Array = write(x.copy(), update, begin, end)
        return updated

    part = Slicing(node)
    return Kernel((part.x, node.value("update"), part.begin, part.end), call, (part.x.shape,), is_exact=True)


def updater(node: Node) -> Any:
    """Return a function that writes slice_update's part into its first argument and returns that."""
    part = Slicing(node)
    expected = node.value("update").shape

    def write(x: Array, update: Array, begin: Array, end: Array) -> Array:
        index = part.index(begin, end)
        place = x[index]
        if place.shape != expected:
            raise IndexError(f"{expected} values do not fit the {place.shape} of the slice")
        x[index] = update
        return x

    return write


BUILDERS: dict[str, Builder] = {
    "identity": _identity,
    "reshape": _reshape,
    "transpose": _transpose,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "concat": _concat,
    "stack": _stack,
    "split": _split,
    "tile": _tile,
    "gather": _gather,
    "shape": _shape,
    "range_1d": _range_1d,
    "fill": _fill,
    "slice_by_index": _slice_by_index,
    "slice_by_size": _slice_by_size,
    "slice_update": _slice_update,
}
