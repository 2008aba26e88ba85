"""What an operation's implementation is given when it is compiled, and what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm_coreml.package.program import Constant, Operation, TensorType
from keyboard_lm_coreml.package.protobuf import MalformedError

Array = NDArray[Any]
Shape = tuple[int, ...]

MAX_LIVE_BYTES = 1 << 30  # of one call's values; a prefill of 64 tokens in 2,048 slots takes 100 MB in OpenELM-3B


@dataclass
class Value:
    """A value of a function while it is compiled.

    Attributes:
        type: its declared type; the shape is fixed.
        slot: where it lies while the function runs.
        constant: the stored constant it stands for, if any.
        load: returns its content if that is known before the function runs.
        root: the value whose memory it may share; itself if it has its own.
    """

    type: TensorType
    slot: int
    constant: Constant | None = None
    load: Callable[[], Array] | None = None
    root: Value | None = field(default=None, repr=False)

    @property
    def shape(self) -> Shape:
        """Its sizes."""
        return self.type.fixed_shape or ()

    @property
    def is_constant(self) -> bool:
        """Its content is known before the function runs."""
        return self.load is not None

    @property
    def is_float(self) -> bool:
        """It holds floating-point numbers, which are fp32 in memory."""
        return self.type.dtype.is_float

    def array(self) -> Array:
        """Return a constant's content: floats as fp32.

        Raises:
            MalformedError: it is no constant.
        """
        if self.load is None:
            raise MalformedError("a parameter that has to be constant is computed")
        return self.load()

    @property
    def owner(self) -> Value:
        """The value whose memory it lies in."""
        return self if self.root is None else self.root.owner


@dataclass(frozen=True)
class Node:
    """An operation with its arguments."""

    operation: Operation
    inputs: Mapping[str, tuple[Value, ...]]

    def has(self, name: str) -> bool:
        """Whether an optional parameter is given."""
        return bool(self.inputs.get(name))

    def value(self, name: str) -> Value:
        """Return a parameter's single value.

        Raises:
            MalformedError: it is missing or several.
        """
        values = self.inputs.get(name, ())
        if len(values) != 1:
            raise MalformedError(f"its {name} has {len(values)} values, not one")
        return values[0]

    def values(self, name: str) -> tuple[Value, ...]:
        """Return the values of a variadic parameter, at least one.

        Raises:
            MalformedError: it is missing.
        """
        values = self.inputs.get(name, ())
        if not values:
            raise MalformedError(f"its {name} is missing")
        return values

    def ints(self, name: str, default: Shape | None = None) -> Shape:
        """Return a constant vector (or number) of integers.

        Raises:
            MalformedError: it is missing without a default, not constant, or too long to be axes or sizes.
        """
        if default is not None and not self.has(name):
            return default
        array = self.value(name).array()
        if array.size > 64 or array.dtype.kind not in "iub":
            raise MalformedError(f"its {name} is no short list of integers")
        return tuple(int(number) for number in array.reshape(-1))

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a constant integer; see `ints`."""
        numbers = self.ints(name, None if default is None else (default,))
        if len(numbers) != 1:
            raise MalformedError(f"its {name} is {len(numbers)} numbers, not one")
        return numbers[0]

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a constant truth value; see `ints`."""
        return bool(self.integer(name, int(default)))

    def number(self, name: str, default: float) -> float:
        """Return a constant number.

        Raises:
            MalformedError: it is not constant, or not a single number.
        """
        if not self.has(name):
            return default
        array = self.value(name).array()
        if array.size != 1:
            raise MalformedError(f"its {name} is {array.size} numbers, not one")
        return float(array.reshape(()))

    def text(self, name: str, default: str) -> str:
        """Return a constant text.

        Raises:
            MalformedError: it is none.
        """
        if not self.has(name):
            return default
        constant = self.value(name).constant
        if constant is None:
            raise MalformedError(f"its {name} is no text")
        return constant.text()

    def axis(self, name: str, rank: int, default: int | None = None) -> int:
        """Return a constant axis of a value of `rank` axes, counted from the front.

        Raises:
            MalformedError: there is no such axis.
        """
        return self.check_axis(self.integer(name, default), rank, name)

    def axes(self, name: str, rank: int, default: Shape | None = None) -> Shape:
        """Return constant axes, each once; see `axis`."""
        axes = tuple(self.check_axis(axis, rank, name) for axis in self.ints(name, default))
        if len(set(axes)) != len(axes):
            raise MalformedError(f"its {name} names an axis twice")
        return axes

    @staticmethod
    def check_axis(axis: int, rank: int, name: str) -> int:
        """Return `axis` counted from the front; see `axis`."""
        if not -rank <= axis < rank:
            raise MalformedError(f"its {name} is {axis}, but there are {rank} axes")
        return axis % rank


@dataclass(frozen=True)
class Kernel:
    """A compiled operation.

    Attributes:
        arguments: the values that `call` is given, in this order.
        call: computes the output, or a tuple of them; floats are fp32.
        shapes: shape of each output.
        is_exact: it only moves values, so there is nothing to round.
        is_view: its output may share memory with its first argument.
    """

    arguments: tuple[Value, ...]
    call: Callable[..., Any]
    shapes: tuple[Shape, ...]
    is_exact: bool = False
    is_view: bool = False


Builder = Callable[[Node], Kernel]


def broadcast(*shapes: Shape) -> Shape:
    """Return the common shape of values that are combined element by element.

    Raises:
        MalformedError: there is none.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise MalformedError(f"shapes {', '.join(map(str, shapes))} cannot be combined") from None


def size_of(shape: Shape) -> int:
    """Return the number of elements."""
    return math.prod(shape)


def round_half(array: Array) -> Array:
    """Return fp32 numbers rounded to fp16's."""
    return array.astype(np.float16).astype(np.float32)
