"""What runs a package: Core ML where there is one, the executor everywhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import MissingExtraError, PackageError
from keyboard_lm_coreml.execute.executor import Executor
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.package import Package

Array = NDArray[Any]


class Runner(Protocol):
    """Runs the functions of one package, which share one state."""

    name: str

    def run(self, function: str, inputs: Mapping[str, Array]) -> NDArray[np.float32]:
        """Run a function and return its logits, (rows, V).

        Raises:
            PackageError: it cannot be run.
        """
        ...


class ExecutorRunner:
    """The executor of this project; on any system."""

    name = "executor"

    def __init__(self, package: Package, is_rounding: bool = False) -> None:
        self._executor = Executor(package, is_rounding)

    def run(self, function: str, inputs: Mapping[str, Array]) -> NDArray[np.float32]:
        outputs = self._executor.run(function, inputs)
        if names.LOGITS not in outputs:
            raise PackageError(f"{self._executor.package.path}: function {function} returns no '{names.LOGITS}'")
        logits: NDArray[np.float32] = outputs[names.LOGITS][0]  # (R, V)
        return logits


class CoreMLRunner:
    """Apple's Core ML, through coremltools; on macOS 15 and newer.

    Args:
        package: the package.
        compute_units: where it may run; a name of coremltools' `ComputeUnit`.

    Raises:
        MissingExtraError: coremltools is not installed.
    """

    name = "coreml"

    def __init__(self, package: Package, compute_units: str = "CPU_AND_NE") -> None:
        try:
            import coremltools
        except ModuleNotFoundError:
            raise MissingExtraError("coremltools", "coreml") from None
        self._package = package
        self._tools = coremltools
        self._units = coremltools.ComputeUnit[compute_units]
        self._models: dict[str, Any] = {}
        self._state: Any = None

    def run(self, function: str, inputs: Mapping[str, Array]) -> NDArray[np.float32]:
        if function not in self._models:
            self._models[function] = self._load(function)
        try:
            outputs = self._models[function].predict(dict(inputs), state=self._state)
        except Exception as error:  # Core ML's errors arrive as they are, without a common base
            raise PackageError(f"{self._package.path}: Core ML cannot run {function} ({_line(error)})") from None
        logits: NDArray[np.float32] = np.asarray(outputs[names.LOGITS])[0].astype(np.float32)  # (R, V)
        return logits

    def _load(self, function: str) -> Any:
        try:
            model = self._tools.models.MLModel(
                str(self._package.path), function_name=function, compute_units=self._units
            )
            if self._state is None:
                self._state = model.make_state()
        except Exception as error:
            raise PackageError(f"{self._package.path}: Core ML cannot load {function} ({_line(error)})") from None
        return model


def open_runner(package: Package) -> Runner:
    """Return Core ML on macOS and the executor elsewhere."""
    return CoreMLRunner(package) if sys.platform == "darwin" else ExecutorRunner(package)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
