"""From a function's operations to a list of steps: constants folded, shapes checked, states written in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keyboard_lm_coreml.execute.constants import ConstantStore
from keyboard_lm_coreml.execute.liveness import last_uses, peak_elements, writes_in_place
from keyboard_lm_coreml.execute.ops import BUILDERS
from keyboard_lm_coreml.execute.ops.kernel import MAX_LIVE_BYTES, Array, Kernel, Node, Value, round_half, size_of
from keyboard_lm_coreml.execute.ops.movement import Slicing, updater
from keyboard_lm_coreml.execute.plan import Memory, Plan, Step
from keyboard_lm_coreml.package.program import Function, NamedType, Operation
from keyboard_lm_coreml.package.protobuf import MalformedError

_ELEMENT_BYTES = 4
_FREED_ELEMENTS = 1 << 14  # smaller values are left to the end of the call


def compile_function(function: Function, constants: ConstantStore, is_rounding: bool) -> Plan:
    """Compile a function.

    Args:
        function: parsed.
        constants: where its constants are decoded.
        is_rounding: round the result of each operation to its declared precision, fp16 where that is so.

    Raises:
        MalformedError: an operation is unknown, or does not fit its arguments or what it declares.
    """
    return _Compiler(function, constants, is_rounding).compile()


class _Compiler:
    def __init__(self, function: Function, constants: ConstantStore, is_rounding: bool) -> None:
        self._function = function
        self._constants = constants
        self._is_rounding = is_rounding
        self._values: dict[str, Value] = {}
        self._memory: Memory = []
        self._steps: list[tuple[Step, str]] = []
        self._last_use = last_uses(function)

    def compile(self) -> Plan:
        function = self._function
        states: dict[str, int] = {}
        inputs: dict[str, int] = {}
        for named in function.inputs:
            value = self._define(named)
            (states if named.type.is_state else inputs)[named.name] = value.slot
        self._written_at = writes_in_place(function)
        for operation in function.operations:
            try:
                self._add(operation)
                self._free(operation.index)
            except MalformedError as error:
                raise MalformedError(f"function {function.name}, {operation.place}: {error}") from None
        outputs: dict[str, tuple[int, bool]] = {}
        for name in function.outputs:
            found = self._lookup(name)
            outputs[name] = self._as_argument(found), found.owner is not found or found.is_constant
        self._check_live_bytes()
        steps = tuple(step for step, _ in self._steps)
        places = tuple(place for _, place in self._steps)
        return Plan(function, steps, places, tuple(self._memory), inputs, outputs, states)

    def _add(self, operation: Operation) -> None:
        if operation.num_blocks:
            raise MalformedError("loops and branches cannot be run")
        if operation.kind == "const":
            constant = operation.attributes.get("val")
            if constant is None or len(operation.outputs) != 1:
                raise MalformedError("it has no value")
            if constant.type != operation.outputs[0].type:
                raise MalformedError(f"its value is {constant.type}, but it declares {operation.outputs[0].type}")
            value = self._define(operation.outputs[0])
            value.constant = constant
            value.load = self._constants.stored(constant)
        elif operation.kind.startswith("constexpr_"):
            load = self._constants.decoded(self._function, operation)
            for output in operation.outputs:
                self._define(output).load = load
        elif operation.kind == "read_state":
            self._read_state(operation)
        elif operation.kind == "write_state":
            self._write_state(operation)
        else:
            self._compute(operation)

    def _compute(self, operation: Operation) -> None:
        if operation.kind not in BUILDERS:
            raise MalformedError("no such operation is known here")
        if not operation.outputs:
            raise MalformedError("it has no output")
        inputs = {
            name: tuple(self._bound(binding) for binding in bindings) for name, bindings in operation.inputs.items()
        }
        node = Node(operation, inputs)
        if operation.index in self._written_at:
            self._update_in_place(node)
            return
        kernel = BUILDERS[operation.kind](node)
        declared = tuple(output.type.fixed_shape for output in operation.outputs)
        if kernel.shapes != declared:
            found = ", ".join(map(str, kernel.shapes))
            raise MalformedError(f"it yields {found}, but declares {', '.join(str(o.type) for o in operation.outputs)}")
        call = self._rounded(kernel, operation)
        if all(value.is_constant for value in kernel.arguments):
            self._fold(kernel, call, operation)
            return
        slots = [self._as_argument(value) for value in kernel.arguments]
        outputs = [self._define(output) for output in operation.outputs]
        if kernel.is_view:
            for output in outputs:
                output.root = kernel.arguments[0]
        self._append(_step(call, slots, [output.slot for output in outputs]), operation)

    def _rounded(self, kernel: Kernel, operation: Operation) -> Callable[..., Any]:
        call = kernel.call
        halves = [output.type.dtype.name == "float16" for output in operation.outputs]
        if not self._is_rounding or kernel.is_exact or not any(halves):
            return call
        if len(halves) == 1:
            return lambda *arguments: round_half(call(*arguments))
        return lambda *arguments: tuple(
            round_half(result) if is_half else result for result, is_half in zip(call(*arguments), halves, strict=True)
        )

    def _fold(self, kernel: Kernel, call: Callable[..., Any], operation: Operation) -> None:
        wanted = sum(size_of(shape) for shape in kernel.shapes) * _ELEMENT_BYTES
        if not kernel.is_view:
            self._constants.claim(wanted)
        with np.errstate(all="ignore"):
            try:
                results = call(*(value.array() for value in kernel.arguments))
            except (IndexError, ValueError, TypeError) as error:
                raise MalformedError(" ".join(str(error).split())[:200]) from None
        if len(operation.outputs) == 1:
            results = (results,)
        for output, result in zip(operation.outputs, results, strict=True):
            self._define(output).load = _constantly(np.asarray(result))

    def _read_state(self, operation: Operation) -> None:
        state = self._state(operation)
        if len(operation.outputs) != 1 or operation.outputs[0].type.shape != state.type.shape:
            raise MalformedError(f"it reads a {state.type}, but declares another shape")
        output = self._define(operation.outputs[0])
        output.root = state
        source, target = state.slot, output.slot

        def step(memory: Memory) -> None:
            memory[target] = memory[source]

        self._append(step, operation)

    def _write_state(self, operation: Operation) -> None:
        state = self._state(operation)
        bindings = operation.inputs.get("data", ())
        if len(bindings) != 1:
            raise MalformedError("its data are missing")
        data = self._bound(bindings[0])
        if data.shape != state.shape:
            raise MalformedError(f"it writes {data.type} into a {state.type}")
        if data.owner is state and operation.index in self._written_at.values():
            return  # the update has been made in the state itself
        source, target = self._as_argument(data), state.slot

        def step(memory: Memory) -> None:
            memory[target] = memory[source].copy()  # what was read before stays as it was

        self._append(step, operation)

    def _update_in_place(self, node: Node) -> None:
        part, write = Slicing(node), updater(node)
        slots = [self._as_argument(value) for value in (part.x, node.value("update"), part.begin, part.end)]
        output = self._define(node.operation.outputs[0])
        if output.shape != part.x.shape:
            raise MalformedError(f"it yields {part.x.shape}, but declares {output.type}")
        output.root = part.x
        self._append(_step(write, slots, [output.slot]), node.operation)

    def _state(self, operation: Operation) -> Value:
        bindings = operation.inputs.get("input", ())
        if len(bindings) != 1 or not isinstance(bindings[0], str):
            raise MalformedError("its state is missing")
        state = self._lookup(bindings[0])
        if not state.type.is_state:
            raise MalformedError(f"'{bindings[0]}' is no state")
        return state

    def _bound(self, binding: Any) -> Value:
        if isinstance(binding, str):
            return self._lookup(binding)
        return Value(binding.type, self._new_slot(), binding, self._constants.stored(binding))

    def _lookup(self, name: str) -> Value:
        if name not in self._values:
            raise MalformedError(f"'{name}' is used before anything defines it")
        return self._values[name]

    def _define(self, named: NamedType) -> Value:
        if named.type.fixed_shape is None:
            raise MalformedError(f"'{named.name}' has no fixed shape ({named.type}); only fixed shapes can be run")
        if named.name in self._values:
            raise MalformedError(f"'{named.name}' is defined twice")
        value = Value(named.type, self._new_slot())
        self._values[named.name] = value
        return value

    def _new_slot(self) -> int:
        self._memory.append(None)
        return len(self._memory) - 1

    def _as_argument(self, value: Value) -> int:
        if value.type.is_state:
            raise MalformedError("a state is used without being read")
        if value.is_constant and self._memory[value.slot] is None:
            self._memory[value.slot] = value.array()
        return value.slot

    def _append(self, step: Step, operation: Operation) -> None:
        self._steps.append((step, operation.place))

    def _free(self, index: int) -> None:
        # Lets large values go behind their last use, so that a call's peak is not their sum.
        for name in self._last_use.get(index, ()):
            value = self._values.get(name)
            if value is None or value.is_constant or value.type.is_state or size_of(value.shape) < _FREED_ELEMENTS:
                continue

            def step(memory: Memory, slot: int = value.slot) -> None:
                memory[slot] = None

            self._steps.append((step, "release"))

    def _check_live_bytes(self) -> None:
        constants = {name for name, value in self._values.items() if value.is_constant}
        peak_bytes = peak_elements(self._function, constants) * _ELEMENT_BYTES
        if peak_bytes > MAX_LIVE_BYTES:
            raise MalformedError(
                f"function {self._function.name}: its values take {peak_bytes >> 20} MB at one time; "
                f"{MAX_LIVE_BYTES >> 20} MB are allowed"
            )


def _step(call: Callable[..., Any], slots: list[int], targets: list[int]) -> Step:
    # One closure for each number of arguments: a step costs little more than its call.
    if len(targets) != 1:

        def several(memory: Memory) -> None:
            for target, result in zip(targets, call(*[memory[slot] for slot in slots]), strict=True):
                memory[target] = result

        return several
    (target,) = targets
    if len(slots) == 1:
        (only,) = slots

        def one(memory: Memory) -> None:
            memory[target] = call(memory[only])

        return one
    if len(slots) == 2:
        first, second = slots

        def two(memory: Memory) -> None:
            memory[target] = call(memory[first], memory[second])

        return two

    def many(memory: Memory) -> None:
        memory[target] = call(*[memory[slot] for slot in slots])

    return many


def _constantly(array: Array) -> Callable[[], Array]:
    return lambda: array
