"""The constants of a package in memory: decoded once, as fp32, shared by all functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm_coreml.package.constexpr import decode
from keyboard_lm_coreml.package.program import Constant, Function, Operation
from keyboard_lm_coreml.package.protobuf import MalformedError

Array = NDArray[Any]
Loader = Callable[[], Array]

# A package of honest size: one bit per weight becomes 32, and each function may hold some constants of its own.
_MAX_GROWTH = 64
_FREE_BYTES = 1 << 26


class ConstantStore:
    """Decodes constants when they are asked for and keeps those that lie in weight files.

    Args:
        package_bytes: size of the package, which bounds what all constants together may take.
    """

    def __init__(self, package_bytes: int) -> None:
        self._left_bytes = _FREE_BYTES + _MAX_GROWTH * package_bytes
        self._kept: dict[object, Array] = {}

    def stored(self, constant: Constant) -> Loader:
        """Return a function that returns a constant's content in its shape, floats as fp32."""
        key = None if constant.blob is None else ("stored", constant.blob, constant.type.dtype.name)
        shape = constant.type.fixed_shape or ()
        return self._once(key, lambda: in_memory(constant.array()), shape)

    def decoded(self, function: Function, operation: Operation) -> Loader:
        """Return a function that returns the weights of a `constexpr_*` operation as fp32."""
        parts: list[object] = [operation.kind, *(str(output.type) for output in operation.outputs)]
        for name, bindings in sorted(operation.inputs.items()):
            for binding in bindings:
                constant = function.constant(binding)
                if constant is None:
                    raise MalformedError(f"its {name} is no constant")
                is_small = constant.blob is None and constant.type.dtype.numpy is not None
                content = constant.array().tobytes() if is_small else constant.blob
                parts.append((name, str(constant.type), content))
        return self._once(tuple(parts), lambda: in_memory(decode(function, operation)), None)

    def claim(self, num_bytes: int) -> None:
        """Count memory that holds constants.

        Raises:
            MalformedError: it is more than a package of this size has any need of.
        """
        self._left_bytes -= num_bytes
        if self._left_bytes < 0:
            raise MalformedError("its constants take far more memory than its files; the program cannot be meant")

    def _once(self, key: object | None, make: Callable[[], Array], shape: tuple[int, ...] | None) -> Loader:
        own: list[Array] = []

        def load() -> Array:
            if key is not None and key in self._kept:
                array = self._kept[key]
            elif own:
                array = own[0]
            else:
                array = make()
                self.claim(array.nbytes)
                if key is None:
                    own.append(array)
                else:
                    self._kept[key] = array
            return array if shape is None else array.reshape(shape)

        return load


def in_memory(array: Array) -> Array:
    """Return an array as operations get it: floats as fp32, all others as they are."""
    return array.astype(np.float32) if array.dtype.kind == "f" else array
