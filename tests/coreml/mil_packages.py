"""Packages made with coremltools' MIL builder: a few operations each, real in every other way."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

warnings.filterwarnings("ignore", module="coremltools")
ct = pytest.importorskip("coremltools")

from coremltools.converters.mil import Builder as mb  # noqa: E402
from coremltools.converters.mil.mil import types  # noqa: E402

TYPES = {"fp16": types.fp16, "fp32": types.fp32, "int32": types.int32, "bool": types.bool}


def save_program(
    path: Path,
    inputs: Sequence[tuple[tuple[int, ...], str]],
    build: Callable[..., Any],
    states: Sequence[tuple[int, ...]] = (),
    clean: bool = True,
) -> Path:
    """Save a program of one function `main`.

    Args:
        path: the package.
        inputs: shape and type of each input; `build` gets them in this order, states behind them.
        build: returns the output, or outputs.
        states: shape of each fp16 state.
        clean: let coremltools fold constants and drop what does nothing.
    """
    specs = [mb.TensorSpec(shape=shape, dtype=TYPES[dtype]) for shape, dtype in inputs]
    specs += [mb.StateTensorSpec(shape=shape, dtype=types.fp16) for shape in states]
    program = mb.program(input_specs=specs, opset_version=ct.target.iOS18)(build)
    model = ct.convert(
        program,
        minimum_deployment_target=ct.target.iOS18,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
        pass_pipeline=ct.PassPipeline.DEFAULT if clean else ct.PassPipeline.EMPTY,
    )
    model.save(str(path))
    return path
