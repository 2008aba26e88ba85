"""An ML Program as data: functions, their operations, and constants that are decoded when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from numpy.typing import NDArray

from keyboard_lm_coreml.package.data_types import DataType, packed_bytes


@dataclass(frozen=True)
class TensorType:
    """Type of a value.

    Attributes:
        dtype: element type.
        shape: sizes; None for one that is not fixed.
        is_state: the value is kept between calls; `read_state` gives its content.
    """

    dtype: DataType
    shape: tuple[int | None, ...]
    is_state: bool = False

    @cached_property
    def fixed_shape(self) -> tuple[int, ...] | None:
        """The shape, or None if a size is not fixed."""
        return None if None in self.shape else tuple(size for size in self.shape if size is not None)

    @property
    def num_elements(self) -> int:
        """Product of the sizes, those that are not fixed counted as 1."""
        return math.prod(size for size in self.shape if size is not None)

    @property
    def num_bytes(self) -> int:
        """Bytes of the values as they are stored, narrow ones packed."""
        return packed_bytes(self.dtype, self.num_elements)

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{'state of ' if self.is_state else ''}{self.dtype.name} ({sizes})"


class Stored(Protocol):
    """Where a constant's values are: in the program itself or in a weight file."""

    def array(self, dtype: DataType, count: int) -> NDArray[Any]:
        """Return the values, flat."""
        ...

    def text(self) -> str:
        """Return the value of a string."""
        ...


@dataclass(frozen=True)
class BlobReference:
    """The place of a constant in a weight file: two constants at one place share their bytes."""

    file: str
    offset: int


@dataclass(frozen=True)
class Constant:
    """A value that the program holds.

    Attributes:
        type: its type.
        blob: its place in a weight file; None if the values lie in the program itself.
    """

    type: TensorType
    blob: BlobReference | None
    _stored: Stored = field(repr=False, compare=False)

    def array(self) -> NDArray[Any]:
        """Return the values in the constant's shape, decoded anew and read-only.

        Raises:
            MalformedError: they are missing, damaged, of another length than the shape's, or a string.
        """
        values = self._stored.array(self.type.dtype, self.type.num_elements)
        result: NDArray[Any] = values.reshape(self.type.fixed_shape or ())
        result.flags.writeable = False
        return result

    def text(self) -> str:
        """Return the value of a string.

        Raises:
            MalformedError: it is none.
        """
        return self._stored.text()


Binding = str | Constant  # what an operation gets: the name of a value, or the value itself


@dataclass(frozen=True)
class NamedType:
    """A named value of an operation or a function."""

    name: str
    type: TensorType


@dataclass(frozen=True)
class Operation:
    """One operation of a function.

    Attributes:
        index: its place in the function, from 0.
        kind: MIL's type: `conv`, `const`, ...
        name: the converter's name for it; its first output's name where it has none.
        inputs: what each parameter gets; several values for the variadic ones.
        outputs: names and types of the results.
        attributes: constants beside the inputs, such as `val` of a `const`.
        num_blocks: nested blocks (loops, branches), which nothing here runs.
    """

    index: int
    kind: str
    name: str
    inputs: Mapping[str, tuple[Binding, ...]]
    outputs: tuple[NamedType, ...]
    attributes: Mapping[str, Constant]
    num_blocks: int

    @property
    def place(self) -> str:
        """Where it stands, for error messages."""
        return f"operation {self.index} '{self.name}' ({self.kind})"


@dataclass(frozen=True)
class Function:
    """One function of a program.

    Attributes:
        name: `decode`, ...
        opset: `CoreML8`, ...
        inputs: values it is given, states included.
        outputs: names of the values it returns.
        operations: in the order in which they run.
    """

    name: str
    opset: str
    inputs: tuple[NamedType, ...]
    outputs: tuple[str, ...]
    operations: tuple[Operation, ...]

    @cached_property
    def constants(self) -> Mapping[str, Constant]:
        """Values of the `const` operations by the name of their output."""
        return {
            operation.outputs[0].name: operation.attributes["val"]
            for operation in self.operations
            if operation.kind == "const" and "val" in operation.attributes and operation.outputs
        }

    @cached_property
    def types(self) -> Mapping[str, TensorType]:
        """Type of each named value."""
        named = [*self.inputs, *(output for operation in self.operations for output in operation.outputs)]
        return {value.name: value.type for value in named}

    def constant(self, binding: Binding) -> Constant | None:
        """Return the constant that a binding stands for, or None if it is computed."""
        return self.constants.get(binding) if isinstance(binding, str) else binding


@dataclass(frozen=True)
class Feature:
    """An input, output or state as the model's interface describes it.

    Attributes:
        name: its name.
        description: the sentence for people.
        dtype: element type; None for a feature that is no array.
        shape: its default shape.
        is_flexible: other shapes are allowed.
    """

    name: str
    description: str
    dtype: DataType | None
    shape: tuple[int, ...]
    is_flexible: bool


@dataclass(frozen=True)
class Interface:
    """What a caller of one function gives and gets."""

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    states: tuple[Feature, ...]


@dataclass(frozen=True)
class Metadata:
    """What a package says about itself; `user` holds the exporter's own keys."""

    description: str
    author: str
    licence: str
    version: str
    user: Mapping[str, str]
