"""Which inputs a network's matrices meet, on text that it samples from itself, in plain numpy.

Such text needs no corpus, suits every tokenizer and is nobody's evaluation text (Liu et al. 2023, "LLM-QAT", section
3.1).
Shapes use B texts, C width, H query heads, G key-value heads, D head width, S places so far, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tensor_names import FINAL_NORM, TABLE, layer_prefix

Float32 = NDArray[np.float32]

_MOST_TEXTS, _FEWEST_TEXTS = 32, 4
_SAMPLED_WEIGHTS = 2_000_000_000  # texts times parameters: seconds
_NUM_TOKENS = 96


@dataclass(frozen=True)
class InputMoments:
    """What was seen.

    Attributes:
        moments: mean of x x^T over the inputs x of each matrix by its name, (K, K).
        num_tokens: that they were taken over.
    """

    moments: Mapping[str, Float32]
    num_tokens: int


def sample_inputs(
    config: ModelConfig, weights: Mapping[str, NDArray[Any]], first_id: int, seed: int = 0
) -> InputMoments:
    """Let a network write texts, and sum up what goes into its matrices meanwhile.

    Args:
        config: the network's shape.
        weights: by OpenELM's tensor names.
        first_id: token that begins a text.
        seed: of the sampling.
    """
    wide = {name: value.astype(np.float32) for name, value in weights.items()}
    num_texts = max(_FEWEST_TEXTS, min(_MOST_TEXTS, _SAMPLED_WEIGHTS // config.num_parameters))
    length = min(_NUM_TOKENS, config.max_context_length)
    writer = _Writer(config, wide, num_texts, length)
    rng = np.random.default_rng(seed)
    ids = np.full(num_texts, first_id)
    for _ in range(length):
        logits = writer.step(ids)  # (B, V)
        ids = (logits + rng.gumbel(size=logits.shape)).argmax(-1)  # a sample of the softmax
    num_tokens = num_texts * length
    return InputMoments({name: total / np.float32(num_tokens) for name, total in writer.sums.items()}, num_tokens)


class _Writer:
    """B texts that grow together, one token a step."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Float32], num_texts: int, length: int) -> None:
        self._config, self._weights = config, weights
        shapes = [(num_texts, heads, length, config.head_dim) for heads in config.num_kv_heads]
        self._keys = [np.empty(shape, np.float32) for shape in shapes]  # (B, G, S, D) each
        self._values = [np.empty(shape, np.float32) for shape in shapes]
        self._place = 0
        self.sums: dict[str, Float32] = {}

    def step(self, ids: NDArray[np.intp]) -> Float32:
        """Take one more token of each text; return the logits after it, (B, V)."""
        x = self._weights[TABLE][ids]  # (B, C)
        for layer in range(self._config.num_transformer_layers):
            prefix = layer_prefix(layer)
            x = x + self._attention(layer, prefix, self._norm(x, f"{prefix}attn_norm.weight"))
            normed = self._norm(x, f"{prefix}ffn_norm.weight")
            gate, up = np.split(self._product(f"{prefix}ffn.proj_1.weight", normed), 2, axis=-1)  # (B, F) each
            hidden = gate / (1 + np.exp(-gate)) * up  # (B, F)
            x = x + self._product(f"{prefix}ffn.proj_2.weight", hidden)
        self._place += 1
        return self._product(TABLE, self._norm(x, FINAL_NORM))

    def _product(self, name: str, x: Float32) -> Float32:
        seen = x.T @ x
        self.sums[name] = self.sums[name] + seen if name in self.sums else seen
        out: Float32 = x @ self._weights[name].T
        return out

    def _norm(self, x: Float32, name: str) -> Float32:
        scale = np.sqrt(np.square(x).mean(-1, keepdims=True) + self._config.rms_norm_eps)
        out: Float32 = x / scale * self._weights[name]
        return out

    def _attention(self, layer: int, prefix: str, x: Float32) -> Float32:
        config, place = self._config, self._place
        num_heads, num_kv_heads = config.num_query_heads[layer], config.num_kv_heads[layer]
        heads = self._product(f"{prefix}attn.qkv_proj.weight", x).reshape(len(x), -1, config.head_dim)
        q, k, v = np.split(heads, [num_heads, num_heads + num_kv_heads], axis=1)  # (B, H, D), (B, G, D), (B, G, D)
        self._keys[layer][:, :, place] = self._turned(self._norm(k, f"{prefix}attn.k_norm.weight"))
        self._values[layer][:, :, place] = v
        keys, values = (cache[layer][:, :, : place + 1] for cache in (self._keys, self._values))  # (B, G, S, D) each
        q = self._turned(self._norm(q, f"{prefix}attn.q_norm.weight")).reshape(
            len(x), num_kv_heads, -1, config.head_dim
        )
        scores = q @ keys.swapaxes(-1, -2) / np.float32(np.sqrt(config.head_dim))  # (B, G, H/G, S)
        chances = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = chances / chances.sum(-1, keepdims=True) @ values  # (B, G, H/G, D)
        return self._product(f"{prefix}attn.out_proj.weight", mixed.reshape(len(x), -1))

    def _turned(self, x: Float32) -> Float32:
        half = self._config.head_dim // 2
        angles = self._place / self._config.rope_freq_constant ** (np.arange(half) / half)  # (D/2,)
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        first, second = x[..., :half], x[..., half:]
        return np.concatenate((first * cos - second * sin, first * sin + second * cos), axis=-1)
