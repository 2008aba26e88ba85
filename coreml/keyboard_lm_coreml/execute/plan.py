"""A compiled function: steps over a list of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm_coreml.package.program import Function
from keyboard_lm_coreml.package.protobuf import MalformedError

Array = NDArray[Any]
Memory = list[Any]  # the values of a running function, by slot
States = dict[str, Array]
Step = Callable[[Memory], None]


@dataclass(frozen=True)
class Plan:
    """A function that can be run.

    Attributes:
        function: what it was made from.
        steps: what to do, in order.
        places: which operation each step stands for.
        memory: the constants by slot, None elsewhere.
        inputs: slot of each input.
        outputs: slot of each output, and whether it may share memory with something that lives on.
        states: slot of each state.
    """

    function: Function
    steps: tuple[Step, ...]
    places: tuple[str, ...]
    memory: tuple[Any, ...]
    inputs: Mapping[str, int]
    outputs: Mapping[str, tuple[int, bool]]
    states: Mapping[str, int]

    def run(self, inputs: Mapping[str, Array], states: States) -> dict[str, Array]:
        """Run the function.

        Args:
            inputs: arrays of the declared shapes, floats as fp32.
            states: content of each state, replaced or changed in place.

        Raises:
            MalformedError: an operation got values that it cannot work on; the message names it.
        """
        memory = list(self.memory)
        for name, slot in self.inputs.items():
            memory[slot] = inputs[name]
        for name, slot in self.states.items():
            memory[slot] = states[name]
        done = 0
        try:
            with np.errstate(all="ignore"):  # overflow is part of the arithmetic
                for step in self.steps:
                    step(memory)
                    done += 1
        except (IndexError, ValueError, TypeError) as error:
            what = " ".join(str(error).split())[:200]
            raise MalformedError(f"function {self.function.name}, {self.places[done]}: {what}") from None
        for name, slot in self.states.items():
            states[name] = memory[slot]
        return {
            name: memory[slot].copy() if is_shared else memory[slot] for name, (slot, is_shared) in self.outputs.items()
        }
