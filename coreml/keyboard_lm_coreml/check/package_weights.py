"""The network's weights as a package holds them, under OpenELM's names again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.network.checkpoint import weight_shapes
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tensor_names import FINAL_NORM, layer_part
from keyboard_lm_coreml.convert.recipe import UNCOMPRESSED_BITS
from keyboard_lm_coreml.convert.stored import ane_names
from keyboard_lm_coreml.package import constexpr
from keyboard_lm_coreml.package.package import Package, damaged
from keyboard_lm_coreml.package.program import Function
from keyboard_lm_coreml.package.protobuf import MalformedError

Array = NDArray[Any]
_FP16, _PALETTIZED = "_to_fp16", "_palettized"


@dataclass(frozen=True)
class PackageWeights:
    """What a package's network computes with.

    Attributes:
        weights: by OpenELM's names, fp32; matrices are exactly those of the package, the norms of queries and keys with
            the attention's scale taken out again.
        bits: of an index into the look-up tables of each matrix; 16 where there are none.
        num_head_parts: parts of the tied table.
    """

    weights: Mapping[str, NDArray[np.float32]]
    bits: Mapping[str, int]
    num_head_parts: int


def read_weights(package: Package, config: ModelConfig) -> PackageWeights:
    """Read the weights of a package that this project exported.

    Raises:
        PackageError: it holds another network, or is damaged.
    """
    function = package.function("decode")
    try:
        return _read(function, config)
    except MalformedError as error:
        raise damaged(package.path, str(error)) from None


def _read(function: Function, config: ModelConfig) -> PackageWeights:
    palettized = {
        operation.outputs[0].name: operation
        for operation in function.operations
        if operation.kind == "constexpr_lut_to_dense" and operation.outputs
    }

    def find(parameter: str) -> tuple[Array, int]:
        name = parameter.replace(".", "_") + _FP16
        if name in function.constants:
            return function.constants[name].array().astype(np.float32), UNCOMPRESSED_BITS
        if name + _PALETTIZED not in palettized:
            raise MalformedError(f"no weights '{name}'")
        operation = palettized[name + _PALETTIZED]
        indices = function.constant(operation.inputs["indices"][0])
        return constexpr.decode(function, operation).astype(np.float32), indices.type.dtype.bits if indices else 0

    def has(parameter: str) -> bool:
        name = parameter.replace(".", "_") + _FP16
        return name in function.constants or name + _PALETTIZED in palettized

    num_parts = 1
    while has(f"tables.{num_parts}.weight"):
        num_parts += 1
    weights: dict[str, NDArray[np.float32]] = {}
    bits: dict[str, int] = {}
    for name, shape in weight_shapes(config).items():
        if len(shape) == 2:
            parts = [find(ane_name) for ane_name, _ in ane_names(config, name, num_parts)]
            found = np.concatenate([part.reshape(len(part), -1) for part, _ in parts])
            bits[name] = parts[0][1]
        else:
            found = _norm(find, config, name)
        if found.shape != shape:
            raise MalformedError(f"{name} is {found.shape} and the network's {shape}")
        weights[name] = found
    return PackageWeights(weights, bits, num_parts)


def _norm(find: Any, config: ModelConfig, name: str) -> Array:
    if name == FINAL_NORM:
        parameter, place = "norm", None
    else:
        layer, inside = layer_part(name)
        rest = inside.split(".")  # attn_norm.weight, attn.q_norm.weight
        place = rest[1] if rest[0] == "attn" else None
        parameter = f"layers.{layer}.{'qk_norm' if place else rest[0]}"
    values: Array = find(parameter)[0]
    if place is None:
        return values.reshape(-1)
    both = values.reshape(-1, config.head_dim)  # (H + G, D)
    return np.asarray(both[0] * np.float32(config.head_dim**0.5) if place == "q_norm" else both[-1])  # (D,)
