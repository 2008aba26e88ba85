"""From the network in PyTorch to an ML Program of several functions.

Each function is traced and converted on its own, its palettized weights are put in place by a graph pass at the end of
the pipeline, and all are joined in one package whose functions share weights and state. coremltools can also find
look-up tables that are handed over as buffers of the module, but then searches for every index anew: a conversion takes
13 s in place of 5 at 8 M parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from keyboard_lm.errors import MissingExtraError, PackageError
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.quantize.palettes import Palettized
from keyboard_lm_coreml.convert.ane_model import AneModel
from keyboard_lm_coreml.convert.quiet import quiet
from keyboard_lm_coreml.convert.stored import StoredWeights
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.contract import Contract, Entry

_PASS = "palettize_by_name"
_NAMESPACE = "keyboard_lm"


def convert(
    config: ModelConfig,
    weights: StoredWeights,
    contract: Contract,
    path: Path,
    scratch: Path,
    num_head_parts: int = 1,
    shrink: float = 1.0,
    on_stage: Callable[[str], None] = lambda _: None,
) -> None:
    """Write the package of a network, without metadata.

    Args:
        config: the network's shape.
        weights: what it stores.
        contract: its functions and slots.
        path: the `.mlpackage` to write.
        scratch: a folder for the functions' own packages.
        num_head_parts: see `AneModel`.
        shrink: see `AneModel`.
        on_stage: told what is being done.

    Raises:
        MissingExtraError: coremltools is not installed.
        PackageError: coremltools fails.
    """
    tools = import_coremltools()
    model = AneModel(config, contract.num_slots, num_head_parts, shrink).eval()
    model.load({name: torch.from_numpy(value) for name, value in weights.snapped.items()})
    descriptor = tools.utils.MultiFunctionDescriptor()
    for entry in contract.entries:
        on_stage(f"converting {entry.name}")
        part = scratch / f"{entry.name}.mlpackage"
        try:
            with quiet(), _palettizing(tools, weights.palettes) as pipeline:
                _convert_function(tools, model, entry, contract.num_slots, pipeline).save(str(part))
        except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
            raise PackageError(f"coremltools cannot convert {entry.name} ({_line(error)}); report this") from error
        descriptor.add_function(str(part), "main", entry.name)
    on_stage("joining the functions")
    descriptor.default_function_name = contract.entries[0].name
    with quiet():
        tools.utils.save_multifunction(descriptor, str(path))


def import_coremltools() -> Any:
    """Return the coremltools module, imported without its remarks on other packages' versions.

    Raises:
        MissingExtraError: it is not installed.
    """
    with quiet():
        try:
            import coremltools
        except ModuleNotFoundError as error:
            if error.name != "coremltools":
                raise
            raise MissingExtraError("coremltools", "coreml") from None
    return coremltools


def example_inputs(config: ModelConfig, entry: Entry, num_slots: int) -> dict[str, Tensor]:
    """Return inputs of a function's shapes, in the order of its arguments."""
    length = entry.num_tokens
    inputs = {
        names.TOKEN_IDS: torch.zeros(1, length, dtype=torch.int32),
        names.POSITION: torch.zeros(1, dtype=torch.int32),
        names.MASK: torch.zeros(1, 1, length, num_slots),
        names.ROPE: torch.zeros(length, 2 * config.head_dim),
    }
    if entry.is_prefill:
        inputs[names.ROW] = torch.ones(1, 1, length)
    return inputs


def _convert_function(tools: Any, model: AneModel, entry: Entry, num_slots: int, pipeline: Any) -> Any:
    model.set_num_tokens(entry.num_tokens)
    inputs = example_inputs(model.config, entry, num_slots)
    with torch.no_grad():
        traced = torch.jit.trace(model, tuple(inputs.values()), check_trace=False)  # type: ignore[no-untyped-call]
    model.kv_cache.zero_()  # tracing ran the network once
    return tools.convert(
        traced,
        inputs=[
            tools.TensorType(name, tuple(x.shape), np.int32 if x.dtype == torch.int32 else np.float16)
            for name, x in inputs.items()
        ],
        outputs=[tools.TensorType(names.LOGITS, dtype=np.float16)],
        states=[
            tools.StateType(tools.TensorType(shape=tuple(model.kv_cache.shape), dtype=np.float16), name=names.STATE)
        ],
        minimum_deployment_target=tools.target.iOS18,
        compute_precision=tools.precision.FLOAT16,
        compute_units=tools.ComputeUnit.CPU_AND_NE,
        pass_pipeline=pipeline,
        skip_model_load=True,
    )


@contextmanager
def _palettizing(tools: Any, palettes: Mapping[str, Palettized]) -> Iterator[Any]:
    """Yield the default pipeline with a pass at its end that replaces weights by their look-up tables."""
    from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY, register_pass

    class PalettizeByName(AbstractGraphPass):  # type: ignore[misc]
        def apply(self, program: Any) -> None:
            for function in program.functions.values():
                _put_tables(function, palettes)

    register_pass(_NAMESPACE, override=True, name=_PASS)(PalettizeByName)
    try:
        pipeline = tools.PassPipeline.DEFAULT
        # Weights keep their names even where two are equal; joining the functions lets equal ones share their bytes.
        pipeline.remove_passes({"common::const_deduplication"})
        pipeline.append_pass(f"{_NAMESPACE}::{_PASS}")
        yield pipeline
    finally:
        PASS_REGISTRY.passes.pop(f"{_NAMESPACE}::{_PASS}", None)


def _put_tables(function: Any, palettes: Mapping[str, Palettized]) -> None:
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import types

    found = {const_name(name): name for name in palettes}
    missing = set(found)
    for operation in list(function.operations):
        name = operation.outputs[0].name if operation.op_type == "const" else ""
        if name not in found:
            continue
        palette = palettes[found[name]]
        dense = operation.outputs[0].val
        if not np.array_equal(dense.reshape(palette.codes.shape), palette.dequantized().astype(np.float16)):
            raise ValueError(f"{name} no longer holds the weights that it was given")
        rank = dense.ndim
        narrow = types.nptype_from_builtin(types.string_to_builtin(f"uint{palette.bits}"))
        indices = palette.codes.reshape(dense.shape).astype(narrow)
        tables = palette.tables.reshape(len(palette.tables), *(1,) * (rank - 1), -1, 1)  # (G, 1, ..., 2^bits, 1)
        with function:
            compressed = Builder.constexpr_lut_to_dense(
                indices=indices, lut=tables, name=f"{name}_palettized", before_op=operation
            )
            function.replace_uses_of_var_after_op(
                anchor_op=operation, old_var=operation.outputs[0], new_var=compressed, force_replace=True
            )
            function.remove_ops([operation])
        missing.remove(name)
    if missing:
        raise ValueError(f"the converter has renamed or folded {', '.join(sorted(missing))}")


def const_name(parameter: str) -> str:
    """Return the name that coremltools gives to a parameter's fp16 constant."""
    return f"{parameter}_to_fp16"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
