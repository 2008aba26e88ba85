"""Which values of a function are still needed where, and which writes to a state may happen in the state itself."""

from __future__ import annotations

from collections.abc import Container, Mapping

from keyboard_lm_coreml.package.program import Function, Operation


def uses(operation: Operation) -> list[str]:
    """Return the names of the values that an operation is given."""
    return [binding for bindings in operation.inputs.values() for binding in bindings if isinstance(binding, str)]


def last_uses(function: Function) -> dict[int, list[str]]:
    """Return for operations, by index, the values that nothing behind them needs."""
    last: dict[str, int] = {}
    for operation in function.operations:
        for output in operation.outputs:
            last[output.name] = operation.index
        for name in uses(operation):
            last[name] = operation.index
    for name in (*function.outputs, *(named.name for named in function.inputs)):
        last.pop(name, None)
    ends: dict[int, list[str]] = {}
    for name, index in last.items():
        ends.setdefault(index, []).append(name)
    return ends


def peak_elements(function: Function, constants: Container[str]) -> int:
    """Return an upper bound of the elements that a call holds at one time.

    Views count as if they had memory of their own.

    Args:
        function: all its values have fixed shapes.
        constants: values that are not made by the call.
    """
    types = function.types
    ends = last_uses(function)
    live = sum(named.type.num_elements for named in function.inputs)
    peak = live
    for operation in function.operations:
        live += sum(output.type.num_elements for output in operation.outputs if output.name not in constants)
        peak = max(peak, live)
        for name in ends.get(operation.index, ()):
            if name not in constants and not types[name].is_state:
                live -= types[name].num_elements
    return peak


_VIEWS = frozenset(
    ("read_state", "identity", "reshape", "transpose", "expand_dims", "squeeze", "split", "cast", "slice_by_index",
     "slice_by_size")
)  # fmt: skip


def writes_in_place(function: Function) -> dict[int, int]:
    """Return slice_update -> write_state pairs that may change the state itself.

    That is so if the updated value is the state as it is, and nothing that was read from the state before (or is a view
    of it) is used afterwards, other than to be written back at once.
    """
    producers = {output.name: op for op in function.operations for output in op.outputs}
    last = {name: index for index, found in last_uses(function).items() for name in found}
    kept = set(function.outputs)
    views: dict[str, set[str]] = {}  # state -> names of values in its memory
    owner: dict[str, str] = {}
    pairs: dict[int, int] = {}
    writes = [op for op in function.operations if op.kind == "write_state"]
    for operation in function.operations:
        sources = uses(operation)
        if operation.kind == "read_state" and sources:
            owner.update((output.name, sources[0]) for output in operation.outputs)
        elif operation.kind in _VIEWS or operation.index in pairs:
            for name in sources:
                if name in owner:
                    owner.update((output.name, owner[name]) for output in operation.outputs)
        elif operation.kind == "slice_update" and len(operation.outputs) == 1:
            pair = _write_of(operation, writes, producers, owner)
            state = owner.get(str(operation.inputs.get("x", ("",))[0]))
            result = operation.outputs[0].name
            if pair is not None and state is not None and result not in kept:
                stale = any(last.get(n, -1) > operation.index or n in kept for n in views.get(state, ()))
                if not stale and last.get(result, -1) <= pair:
                    pairs[operation.index] = pair
                    owner[result] = state
        for output in operation.outputs:
            if output.name in owner:
                views.setdefault(owner[output.name], set()).add(output.name)
    return pairs


def _write_of(
    update: Operation, writes: list[Operation], producers: Mapping[str, Operation], owner: Mapping[str, str]
) -> int | None:
    # The write_state that puts an update's result into the state it was read from, if it follows at once.
    sources = update.inputs.get("x", ())
    if len(sources) != 1 or not isinstance(sources[0], str):
        return None
    read = producers.get(sources[0])
    if read is None or read.kind != "read_state":
        return None
    state, result = owner.get(sources[0]), update.outputs[0].name
    for write in writes:
        if write.index > update.index:
            is_same = write.inputs.get("input") == (state,) and write.inputs.get("data") == (result,)
            return write.index if is_same and write.index == update.index + 1 else None
    return None
