"""The weights of a network as its package stores them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tensor_names import TABLE, layer_part
from keyboard_lm.quantize.compensate import compensated
from keyboard_lm.quantize.palettes import Palettized, palettize
from keyboard_lm_coreml.convert.recipe import Recipe

if TYPE_CHECKING:
    from keyboard_lm_coreml.convert.activations import Activations

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class StoredWeights:
    """A network's weights, palettized by a recipe.

    Attributes:
        palettes: those with look-up tables, by the name that `AneModel` has for them.
        snapped: all weights under OpenELM's names, as the package's values stand for them, fp32.
    """

    palettes: Mapping[str, Palettized]
    snapped: Mapping[str, Float32]


def store_weights(
    config: ModelConfig,
    weights: Mapping[str, NDArray[Any]],
    recipe: Recipe,
    activations: Activations | None,
    num_head_parts: int = 1,
) -> StoredWeights:
    """Palettize a network.

    Weights that lie on tables already, of the recipe's groups and no more values than its bits can tell apart, come
    back as they are.

    Args:
        config: the network's shape.
        weights: by OpenELM's names.
        recipe: what gets which tables.
        activations: what the inputs look like; None for all alike.
        num_head_parts: parts into which the tied table is cut.
    """
    palettes: dict[str, Palettized] = {}
    snapped: dict[str, Float32] = {}
    for name, weight in weights.items():
        rule = recipe.rule_for(name) if weight.ndim == 2 else None
        if rule is None:
            snapped[name] = weight.astype(np.float16).astype(np.float32)
            continue
        importance = None
        if recipe.importance and activations is not None:
            importance = activations.moments[name].diagonal()
        parts = []
        for ane_name, rows in ane_names(config, name, num_head_parts):
            palette = palettize(weight[rows], rule.bits, rule.group_size, importance)
            if recipe.compensation and activations is not None:
                palette = compensated(weight[rows], palette, activations.moments[name], activations.num_tokens)
            palettes[ane_name] = palette
            parts.append(palette.dequantized())
        snapped[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return StoredWeights(palettes, snapped)


def ane_names(config: ModelConfig, name: str, num_head_parts: int) -> Iterator[tuple[str, slice]]:
    """Yield the name that `AneModel` has for each part of a matrix, and the part's rows."""
    if name == TABLE:
        for part, (start, stop) in enumerate(part_bounds(config.vocab_size, num_head_parts)):
            yield f"tables.{part}.weight", slice(start, stop)
    else:
        layer, inside = layer_part(name)
        projection = inside.split(".")[1]  # of attn.qkv_proj.weight
        yield f"layers.{layer}.{projection}.weight", slice(None)


def part_bounds(size: int, num_parts: int) -> list[tuple[int, int]]:
    """Return where each of some nearly equal parts of an axis begins and ends."""
    return [(size * part // num_parts, size * (part + 1) // num_parts) for part in range(num_parts)]
