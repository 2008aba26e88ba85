"""Runs the functions of a package with numpy, on any system.

Arithmetic is fp32. By default nothing is rounded but what the package stores and is given; with `is_rounding` the
result of every operation is rounded to the precision it declares, as a device that keeps fp16 between operations would
do. Neither says how a Neural Engine rounds inside an operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import PackageError
from keyboard_lm_coreml.execute.compiler import compile_function
from keyboard_lm_coreml.execute.constants import ConstantStore
from keyboard_lm_coreml.execute.ops.kernel import MAX_LIVE_BYTES, round_half
from keyboard_lm_coreml.execute.plan import Plan, States
from keyboard_lm_coreml.package.package import Package, damaged
from keyboard_lm_coreml.package.program import NamedType
from keyboard_lm_coreml.package.protobuf import MalformedError

Array = NDArray[Any]


class Executor:
    """An opened package that can be run; its functions share weights and states.

    Args:
        package: the package.
        is_rounding: round after every operation; see the module.
    """

    def __init__(self, package: Package, is_rounding: bool = False) -> None:
        self.package = package
        self.is_rounding = is_rounding
        self._constants = ConstantStore(package.num_bytes)
        self._plans: dict[str, Plan] = {}
        self._states: States = {}

    def reset(self) -> None:
        """Set all states to zero, as they are at first."""
        for state in self._states.values():
            state[...] = 0

    def state(self, name: str) -> Array:
        """Return a copy of a state's content.

        Raises:
            PackageError: no function that was run or prepared has such a state.
        """
        if name not in self._states:
            raise PackageError(f"{self.package.path}: no state '{name}'")
        return self._states[name].copy()

    def prepare(self, name: str) -> Plan:
        """Compile a function, so that its first run takes no longer than the next.

        Raises:
            PackageError: there is no such function, it is damaged, or it has an operation that is not known here.
        """
        if name not in self._plans:
            function = self.package.function(name)
            try:
                plan = compile_function(function, self._constants, self.is_rounding)
                self._plans[name] = plan
                for named in function.inputs:
                    if named.type.is_state:
                        self._add_state(named)
            except MalformedError as error:
                raise damaged(self.package.path, str(error)) from None
        return self._plans[name]

    def run(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a function on the states that earlier calls left.

        Args:
            name: the function.
            inputs: an array for each of its inputs, of the declared shape; values are rounded to the declared type.

        Returns:
            Its outputs by name, floats as fp32.

        Raises:
            PackageError: see `prepare`; or an input is missing or of another shape; or an operation meets values that
                it cannot work on, such as a slice behind the end of a state.
        """
        plan = self.prepare(name)
        given = {
            named.name: self._input(name, named, inputs) for named in plan.function.inputs if not named.type.is_state
        }
        try:
            return plan.run(given, self._states)
        except MalformedError as error:
            raise PackageError(f"{self.package.path}: {error}") from None

    def _input(self, function: str, named: NamedType, inputs: Mapping[str, Array]) -> Array:
        if named.name not in inputs:
            raise PackageError(f"{self.package.path}: function {function} needs an input '{named.name}'")
        array = np.asarray(inputs[named.name])
        if array.shape != named.type.fixed_shape:
            raise PackageError(
                f"{self.package.path}: input '{named.name}' of function {function} is {array.shape}, not {named.type}"
            )
        if named.type.dtype.name == "float16":
            return array.astype(np.float32) if array.dtype == np.float16 else round_half(array)
        if named.type.dtype.is_float:
            return array.astype(np.float32)
        return array.astype(named.type.dtype.numpy, copy=False)

    def _add_state(self, named: NamedType) -> None:
        shape = named.type.fixed_shape
        if named.name not in self._states:
            if named.type.num_elements * 4 > MAX_LIVE_BYTES:
                raise MalformedError(f"state '{named.name}' is too large: {named.type}")
            self._states[named.name] = np.zeros(shape or (), np.float32)
        elif self._states[named.name].shape != shape:
            raise MalformedError(
                f"state '{named.name}' is {self._states[named.name].shape} in one function and {shape} in another"
            )
