"""What a package costs on a device, operation by operation, read from the package itself.

Nothing runs: multiply-accumulates, bytes and places follow from the program. The time is that of the cost model
(`keyboard_lm.device.cost_model`, docs/cost_model.md), an estimate with its uncertainty.

Rules for where an operation runs are what coremltools' documentation and reports of reverse engineering say of the
Neural Engine (sources in docs/cost_model.md); only a device tells for certain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from keyboard_lm.device.cost_model import Chip, Estimate, Work, cost_model
from keyboard_lm_coreml.execute.liveness import last_uses, uses
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.package import Package
from keyboard_lm_coreml.package.program import Function, Operation

NEURAL_ENGINE, CPU, LOAD = "Neural Engine", "CPU", "load"
MAX_RANK = 5
_CONSTEXPR = "constexpr_"
_STATE_WRITES = ("write_state", "coreml_update_state")
_BY_INDEX = ("gather", "gather_along_axis", "gather_nd")
_LOOK_UP = "constexpr_lut_to_dense"
_VIEWS = ("const", "read_state")  # no work of their own


@dataclass(frozen=True)
class OperationCost:
    """One operation.

    Attributes:
        index: its place in the function.
        kind: MIL's type.
        name: the converter's name.
        macs: multiply-accumulates of a call.
        weight_bytes: of the constants that it reads, as they are stored.
        activation_bytes: of its results.
        state_bytes: that it writes into a state.
        place: `Neural Engine`, `CPU`, or `load` for what is done once.
        reason: why not on the Neural Engine; "" where it is.
    """

    index: int
    kind: str
    name: str
    macs: int
    weight_bytes: int
    activation_bytes: int
    state_bytes: int
    place: str
    reason: str


@dataclass(frozen=True)
class FunctionProfile:
    """One function of a package on one chip.

    Attributes:
        name: the function's.
        operations: in order, constants left out.
        weight_bytes: of all constants that it reads, each once.
        state_bytes: of the states.
        peak_activation_bytes: of the values that are alive at one time, at most.
        num_dispatches: stretches of operations that are handed to the Neural Engine.
        num_layers: attention layers (softmax operations).
        estimate: of a call.
    """

    name: str
    operations: tuple[OperationCost, ...]
    weight_bytes: int
    state_bytes: int
    peak_activation_bytes: int
    num_dispatches: int
    num_layers: int
    estimate: Estimate

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a call."""
        return sum(operation.macs for operation in self.operations)

    @property
    def load_bytes(self) -> int:
        """Weights as they are stored, states and activations: what a call needs in memory, Core ML's own aside."""
        return self.weight_bytes + self.state_bytes + self.peak_activation_bytes


def profile_package(package: Package, chip: Chip, functions: Iterable[str] = ()) -> list[FunctionProfile]:
    """Return the profile of a package's functions (all if none is named, fewest tokens first).

    Raises:
        PackageError: there is no such function, or the package is damaged.
    """
    everything = sorted(package.function_names, key=lambda name: (names.num_tokens(name) or 0, name))
    return [profile_function(package.function(name), chip) for name in functions or everything]


def profile_function(function: Function, chip: Chip) -> FunctionProfile:
    """Return the profile of one function."""
    stored = _weight_bytes(function)
    operations = tuple(
        _cost(function, operation, stored, chip) for operation in function.operations if operation.kind != "const"
    )
    total = sum({name: size for sizes in stored.values() for name, size in sizes}.values())
    state_bytes = sum(named.type.num_bytes for named in function.inputs if named.type.is_state)
    dispatches = _num_dispatches(function, operations)
    layers = sum(operation.kind in ("softmax", "scaled_dot_product_attention") for operation in function.operations)
    work = Work(layers, total + state_bytes, sum(each.macs for each in operations), dispatches)
    model = cost_model()
    return FunctionProfile(
        function.name, operations, total, state_bytes, _peak(function), dispatches, layers,
        model.estimate(model.ms(chip, work)),
    )  # fmt: skip


def _weight_bytes(function: Function) -> dict[int, list[tuple[str, int]]]:
    # For each operation, by index, the named constants in weight files that reach it, and their bytes.
    carried: dict[str, list[tuple[str, int]]] = {}
    found: dict[int, list[tuple[str, int]]] = {}
    for operation in function.operations:
        own: list[tuple[str, int]] = []
        constants = [*operation.attributes.values()]
        for bindings in operation.inputs.values():
            for binding in bindings:
                if isinstance(binding, str):
                    own += carried.get(binding, [])
                else:
                    constants.append(binding)
        own += [
            (f"{constant.blob.file}:{constant.blob.offset}", constant.type.num_bytes)
            for constant in constants
            if constant.blob is not None
        ]
        if operation.kind == "const" or operation.kind.startswith(_CONSTEXPR):
            for output in operation.outputs:
                carried[output.name] = own
        elif own:
            found[operation.index] = own
    return found


def _cost(
    function: Function, operation: Operation, stored: dict[int, list[tuple[str, int]]], chip: Chip
) -> OperationCost:
    outputs = [output.type for output in operation.outputs if not output.type.is_state]
    is_write = operation.kind in _STATE_WRITES
    written = sum(output.num_bytes for output in outputs) if is_write else 0
    place, reason = placement(function, operation, chip)
    return OperationCost(
        operation.index, operation.kind, operation.name, _macs(function, operation),
        sum(size for _, size in stored.get(operation.index, [])),
        0 if is_write or operation.kind.startswith(_CONSTEXPR) else sum(output.num_bytes for output in outputs),
        written, place, reason,
    )  # fmt: skip


def placement(function: Function, operation: Operation, chip: Chip) -> tuple[str, str]:
    """Return where an operation would run, and why not on the Neural Engine."""
    if operation.kind.startswith(_CONSTEXPR):
        return (
            (CPU, reason)
            if (reason := _unsupported_constant(function, operation))
            else (LOAD, "decompressed as it is read")
        )
    types = [output.type for output in operation.outputs]
    inputs = [function.types[name] for name in uses(operation) if name in function.types]
    for kind in (*types, *inputs):
        if None in kind.shape:
            return CPU, "flexible shape"
        if len(kind.shape) > MAX_RANK:
            return CPU, f"rank {len(kind.shape)}, over {MAX_RANK}"
    if operation.kind in _BY_INDEX:
        return CPU, "gather by integer indices"
    if types and all(kind.dtype.name.startswith(("int", "uint", "bool")) for kind in types):
        return CPU, "integer arithmetic"
    for kind in types:
        if not kind.is_state and max((size or 1 for size in kind.shape), default=1) > chip.max_axis:
            return CPU, f"axis over {chip.max_axis:,}"
    if chip.clamps_slices and operation.kind.startswith("slice_by") and names.MASK in uses(operation):
        return CPU, "slice of values under -4094, which this chip clamps"
    return NEURAL_ENGINE, ""


def _unsupported_constant(function: Function, operation: Operation) -> str:
    if operation.kind == _LOOK_UP:
        for constant in map(function.constant, operation.inputs.get("lut", ())):
            if constant is None:
                continue
            if constant.type.dtype.name != "float16":
                return f"look-up table of {constant.type.dtype.name}"
            if constant.type.shape and (constant.type.shape[-1] or 1) > 1:
                return "look-up table of vectors"
    return ""


def _macs(function: Function, operation: Operation) -> int:
    types = function.types
    if not operation.outputs or operation.outputs[0].type.fixed_shape is None:
        return 0
    results = operation.outputs[0].type.num_elements

    def shape(parameter: str) -> tuple[int | None, ...]:
        for binding in operation.inputs.get(parameter, ()):
            kind = types.get(binding) if isinstance(binding, str) else binding.type
            if kind is not None:
                return kind.shape
        return ()

    if operation.kind in ("conv", "linear"):
        return results * math.prod(size or 1 for size in shape("weight")[1:])
    if operation.kind == "matmul":
        left = shape("x")
        constant = next((function.constant(each) for each in operation.inputs.get("transpose_x", ())), None)
        is_turned = constant is not None and bool(constant.array())
        return results * (left[-2 if is_turned else -1] or 1) if len(left) > 1 else results
    if operation.kind == "scaled_dot_product_attention":
        keys = shape("key")
        return 2 * results * (keys[-2] or 1) if len(keys) > 1 else results
    return 0


def _num_dispatches(function: Function, costs: Iterable[OperationCost]) -> int:
    # What the CPU makes of the Neural Engine's results before it goes on there parts two stretches; what needs none of
    # them can be done before the first.
    places = {cost.index: cost.place for cost in costs if cost.place != LOAD}
    stretches: dict[str, tuple[int, bool]] = {}  # of each value: the stretch it comes after, whether it is of that one
    number = 1
    for operation in function.operations:
        if operation.index not in places:
            continue
        given = [stretches[name] for name in uses(operation) if name in stretches]
        if places[operation.index] == NEURAL_ENGINE and operation.kind not in _VIEWS:
            made = max([stretch if is_there else stretch + 1 for stretch, is_there in given], default=1), True
            number = max(number, made[0])
        elif operation.kind in _VIEWS:
            made = max(given, default=(0, False))
        else:
            made = max([stretch for stretch, _ in given], default=0), False
        stretches |= {output.name: made for output in operation.outputs}
    return number


def _peak(function: Function) -> int:
    ends = last_uses(function)
    skipped = {
        output.name
        for operation in function.operations
        if operation.kind == "const" or operation.kind.startswith(_CONSTEXPR)
        for output in operation.outputs
    }
    alive = peak = 0
    types = function.types
    for operation in function.operations:
        alive += sum(each.type.num_bytes for each in operation.outputs if each.name not in skipped)
        peak = max(peak, alive)
        alive -= sum(
            types[name].num_bytes for name in ends.get(operation.index, []) if name in types and name not in skipped
        )
    return peak
