"""The network on MLX: Apple silicon's own framework; on Linux it is correct but slow.

Written on ``mlx.core`` alone: importing mlx-lm takes seconds that a keyboard does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mlx.core as mx
import numpy as np

from keyboard_lm.backends.checks import check_tree
from keyboard_lm.backends.flat_cache import FlatCacheBackend
from keyboard_lm.backends.mlx_format import group_size
from keyboard_lm.backends.protocol import Logits, check_fits, tree_depths, tree_visibility
from keyboard_lm.network.checkpoint import Checkpoint, Weights
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tensor_names import FINAL_NORM, TABLE, layer_prefix

_Matrix = Callable[[mx.array], mx.array]  # (..., K) -> (..., N)


class MlxBackend(FlatCacheBackend):
    """Runs a checkpoint's weights; see `keyboard_lm.backends.protocol.Backend` for what each call promises.

    Shapes: T new tokens, C model_dim, H query heads, G key-value heads, D head_dim, S slots.

    Args:
        config: the network's shape.
        weights: by OpenELM's tensor names.
        capacity: slots of the KV cache; at most, and by default, the longest context the network is trained for.
        bits: 4 and 8 quantize every matrix as `keyboard-lm export-mlx` does; 16 and 32 keep fp16 and fp32.

    Raises:
        ConfigError: MLX cannot quantize rows of this width.
    """

    name = "mlx"

    def __init__(self, config: ModelConfig, weights: Weights, capacity: int | None = None, bits: int = 16) -> None:
        super().__init__(config, capacity)
        self._dtype = mx.float32 if bits == 32 else mx.float16
        self._bits = bits
        self._group = group_size(config) if bits < 16 else 0
        arrays = {name: mx.array(value).astype(self._dtype) for name, value in weights.items()}
        self._norms = {name: value for name, value in arrays.items() if value.ndim == 1}
        self._matrices = {name: self._matrix(value) for name, value in arrays.items() if value.ndim == 2}
        table = arrays[TABLE]
        self._table = self._rounded(table)  # rows are looked up as the head sees them
        mx.eval(self._table)
        shapes = [(1, heads, self._capacity + 1, config.head_dim) for heads in config.num_kv_heads]
        self._keys = [mx.zeros(shape, self._dtype) for shape in shapes]
        self._values = [mx.zeros(shape, self._dtype) for shape in shapes]
        exponents = np.arange(0, config.head_dim, 2, dtype=np.float32) / config.head_dim
        self._frequencies = config.rope_freq_constant**-exponents  # (D/2,)

    @classmethod
    def load(cls, checkpoint: Checkpoint, capacity: int | None = None, bits: int = 16) -> MlxBackend:
        """Read a checkpoint's weights.

        Raises:
            CheckpointError: the weights are missing, damaged, or do not fit the configuration.
            MissingExtraError: safetensors is not installed.
        """
        return cls(checkpoint.config, checkpoint.weights(), capacity, bits)

    def decode(self, token_ids: Sequence[int]) -> Logits:
        num_new = len(token_ids)
        check_fits(self, self._length, num_new)
        positions = np.arange(self._length, self._length + num_new)
        visible = np.arange(self._length + num_new) <= positions[:, None]  # (T, length + T)
        logits = self._logits(token_ids, positions, visible, last_only=True)
        self._length += num_new
        row: Logits = logits[0]
        return row

    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Logits:
        check_tree(self, token_ids, parents)
        seen = np.ones((len(token_ids), self._length), np.bool_)
        visible = np.concatenate((seen, tree_visibility(parents)), axis=1)  # (N, length + N)
        return self._logits(token_ids, self._length + np.array(tree_depths(parents)), visible, last_only=False)

    def _logits(self, token_ids: Sequence[int], positions: np.ndarray, visible: np.ndarray, last_only: bool) -> Logits:
        angles = positions[:, None].astype(np.float32) * self._frequencies  # (T, D/2)
        cos, sin = mx.array(np.cos(angles)), mx.array(np.sin(angles))
        mask = mx.where(mx.array(visible), 0.0, float("-inf")).astype(self._dtype)  # (T, S)
        x = self._table[mx.array(list(token_ids))][None]  # (1, T, C)
        for layer in range(self.config.num_transformer_layers):
            part = layer_prefix(layer)
            x = x + self._attention(layer, self._norm(x, part + "attn_norm.weight"), cos, sin, mask)
            wide = self._matrices[part + "ffn.proj_1.weight"](self._norm(x, part + "ffn_norm.weight"))
            gate, up = mx.split(wide, 2, axis=-1)  # (1, T, F) each
            x = x + self._matrices[part + "ffn.proj_2.weight"](gate * mx.sigmoid(gate) * up)
        hidden = self._norm(x[:, -1:] if last_only else x, FINAL_NORM)
        rows = self._matrices[TABLE](hidden)[0].astype(mx.float32)
        logits: Logits = np.array(rows)
        return logits

    def _attention(self, layer: int, x: mx.array, cos: mx.array, sin: mx.array, mask: mx.array) -> mx.array:
        config, part = self.config, layer_prefix(layer) + "attn."
        heads, kv_heads = config.num_query_heads[layer], config.num_kv_heads[layer]
        qkv = self._matrices[part + "qkv_proj.weight"](x)
        qkv = qkv.reshape(1, x.shape[1], -1, config.head_dim).transpose(0, 2, 1, 3)  # (1, H + 2G, T, D)
        q, k, v = mx.split(qkv, [heads, heads + kv_heads], axis=1)
        q = _rotated(self._norm(q, part + "q_norm.weight"), cos, sin)
        k = _rotated(self._norm(k, part + "k_norm.weight"), cos, sin)
        end = self._length + x.shape[1]
        self._keys[layer][:, :, self._length : end] = k
        self._values[layer][:, :, self._length : end] = v
        mixed = mx.fast.scaled_dot_product_attention(
            q, self._keys[layer][:, :, :end], self._values[layer][:, :, :end], scale=config.head_dim**-0.5, mask=mask
        )  # (1, H, T, D)
        return self._matrices[part + "out_proj.weight"](mixed.transpose(0, 2, 1, 3).reshape(1, x.shape[1], -1))

    def _norm(self, x: mx.array, name: str) -> mx.array:
        return mx.fast.rms_norm(x, self._norms[name], self.config.rms_norm_eps)

    def _matrix(self, weight: mx.array) -> _Matrix:
        if not self._group:
            return lambda x: x @ weight.T
        packed, scales, biases = mx.quantize(weight, group_size=self._group, bits=self._bits)
        return lambda x: mx.quantized_matmul(
            x, packed, scales, biases, transpose=True, group_size=self._group, bits=self._bits
        )

    def _rounded(self, weight: mx.array) -> mx.array:
        if not self._group:
            return weight
        packed, scales, biases = mx.quantize(weight, group_size=self._group, bits=self._bits)
        return mx.dequantize(packed, scales, biases, group_size=self._group, bits=self._bits)


def _rotated(x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
    first, second = mx.split(x.astype(mx.float32), 2, axis=-1)  # (1, H, T, D/2) each
    turned = mx.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)
