"""Time and places of a package in Core ML itself; on macOS 15. Written from coremltools' documentation, not yet run."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from keyboard_lm.errors import MissingExtraError
from keyboard_lm_coreml.execute.runners import CoreMLRunner
from keyboard_lm_coreml.package.package import Package

NUM_CALLS = 200
_WARM_UP = 10


def measure_function(package: Package, function: str) -> dict[str, Any]:
    """Return the load time, the median of `NUM_CALLS` predictions, and how many operations prefer the Neural Engine.

    Raises:
        PackageError: Core ML cannot load or run it.
        MissingExtraError: coremltools is not installed.
    """
    inputs = {
        feature.name: np.zeros(feature.shape, feature.dtype.numpy if feature.dtype else np.float16)
        for feature in package.interfaces[function].inputs
    }
    runner = CoreMLRunner(package)
    begun = time.perf_counter()
    runner.run(function, inputs)
    load_ms = (time.perf_counter() - begun) * 1000
    times = []
    for call in range(_WARM_UP + NUM_CALLS):
        begun = time.perf_counter()
        runner.run(function, inputs)
        if call >= _WARM_UP:
            times.append((time.perf_counter() - begun) * 1000)
    return {
        "load_ms": load_ms,
        "median_ms": statistics.median(times),
        "calls": NUM_CALLS,
        "neural_engine_share": _neural_engine_share(package, function),
    }


def _neural_engine_share(package: Package, function: str) -> str:
    try:
        import coremltools
        from coremltools.models.compute_device import MLNeuralEngineComputeDevice
        from coremltools.models.compute_plan import MLComputePlan
    except ModuleNotFoundError:
        raise MissingExtraError("coremltools", "coreml") from None
    compiled = coremltools.models.utils.compile_model(str(package.path))
    plan = MLComputePlan.load_from_path(compiled, compute_units=coremltools.ComputeUnit.CPU_AND_NE)
    there = total = 0
    for operation in plan.model_structure.program.functions[function].block.operations:
        usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
        if usage is not None:
            total += 1
            there += isinstance(usage.preferred_compute_device, MLNeuralEngineComputeDevice)
    return f"{there} of {total} operations"
