"""The network in plain numpy, without a cache: the oracle that exported graphs are checked against.

It shares no code with `keyboard_lm.network.model` or the graph builder, so that neither can hide the other's mistake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tensor_names import FINAL_NORM, TABLE, layer_prefix

Array = NDArray[np.floating]


def reference_logits(
    config: ModelConfig,
    weights: Mapping[str, NDArray[Any]],
    token_ids: Sequence[int],
    positions: Sequence[int] | None = None,
    visible: NDArray[np.bool_] | None = None,
) -> Array:
    """Return the logits after every token, (T, V), in the precision of the weights.

    Args:
        config: the network's shape.
        weights: by OpenELM's tensor names.
        token_ids: T tokens.
        positions: their places; by default 0 to T - 1.
        visible: which token may attend to which, (T, T); by default each to itself and those before it.
    """
    length = len(token_ids)
    places = np.arange(length) if positions is None else np.asarray(positions)
    seen = np.tri(length, dtype=bool) if visible is None else visible
    table = weights[TABLE]
    x = table[np.asarray(token_ids)]  # (T, C)
    for layer in range(config.num_transformer_layers):
        part = {
            name: weights[layer_prefix(layer) + f"{name}.weight"]
            for name in (
                "attn_norm", "attn.qkv_proj", "attn.q_norm", "attn.k_norm", "attn.out_proj",
                "ffn_norm", "ffn.proj_1", "ffn.proj_2",
            )
        }  # fmt: skip
        x = x + _attention(config, layer, part, _norm(config, x, part["attn_norm"]), places, seen)
        gate, up = np.split(_norm(config, x, part["ffn_norm"]) @ part["ffn.proj_1"].T, 2, axis=-1)  # (T, F) each
        x = x + (gate / (1 + np.exp(-gate)) * up) @ part["ffn.proj_2"].T  # (T, C)
    logits: Array = _norm(config, x, weights[FINAL_NORM]) @ table.T  # (T, V)
    return logits


def _norm(config: ModelConfig, x: Array, weight: Array) -> Array:
    scaled: Array = x / np.sqrt((x * x).mean(-1, keepdims=True) + config.rms_norm_eps) * weight
    return scaled


def _attention(
    config: ModelConfig, layer: int, part: Mapping[str, Array], x: Array, places: NDArray[Any], seen: NDArray[np.bool_]
) -> Array:
    num_heads, num_kv_heads, width = config.num_query_heads[layer], config.num_kv_heads[layer], config.head_dim
    heads = (x @ part["attn.qkv_proj"].T).reshape(len(x), -1, width)  # (T, H + 2G, D)
    keys = _rotate(config, _norm(config, heads[:, num_heads:-num_kv_heads], part["attn.k_norm"]), places)  # (T, G, D)
    values = heads[:, -num_kv_heads:]  # (T, G, D)
    mixed = []
    for head in range(num_heads):
        group = head // (num_heads // num_kv_heads)
        query = _rotate(config, _norm(config, heads[:, head], part["attn.q_norm"]), places)  # (T, D)
        scores = np.where(seen, query @ keys[:, group].T / np.sqrt(width), -np.inf)  # (T, T)
        chances = np.exp(scores - scores.max(-1, keepdims=True))  # (T, T)
        mixed.append(chances / chances.sum(-1, keepdims=True) @ values[:, group])  # (T, D)
    output: Array = np.concatenate(mixed, -1) @ part["attn.out_proj"].T  # (T, C)
    return output


def _rotate(config: ModelConfig, x: Array, places: NDArray[Any]) -> Array:
    # x is (T, D) or (T, G, D); each pair (x[i], x[i + D/2]) turns as one complex number.
    half = config.head_dim // 2
    angles = places[:, None] / config.rope_freq_constant ** (np.arange(half) / half)  # (T, D/2)
    turn = np.exp(1j * angles).reshape(len(x), *[1] * (x.ndim - 2), half)  # (T, [1,] D/2)
    turned = (x[..., :half] + 1j * x[..., half:]) * turn  # (..., D/2)
    rotated: Array = np.concatenate((turned.real, turned.imag), -1).astype(x.dtype)
    return rotated
