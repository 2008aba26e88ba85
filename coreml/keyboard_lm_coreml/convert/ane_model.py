"""OpenELM in the layout that the Neural Engine prefers, with one state for all layers.

The same network as `keyboard_lm.network.model`, from the same tensors, written for conversion: activations are
(B, C, 1, T), projections are 1x1 convolutions, positions and visibility come in as rotary rows and an additive mask,
every size is a Python int (a traced size turns into a cast that coremltools 9.0 gets wrong), and each layer updates its
rows of one flat state with one slice assignment. Shapes use B batch (1), T new tokens, C model_dim, H query heads, G
key-value heads, D head_dim, S slots of the state, V vocabulary.

Sources: Apple's "Deploying Transformers on the Apple Neural Engine" (layout); the concatenation of x and -x, whose
layer norm is the RMS norm of x and converts to a single `layer_norm` op, is a habit of published Core ML ports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tensor_names import FINAL_NORM, TABLE, layer_prefix
from keyboard_lm_coreml.convert.stored import part_bounds

AXIS_LIMIT = 16_384  # longest axis of a Neural Engine op up to M3-class chips
_SMALLEST = 2.0**-8  # divisor of a norm's values: the square of what eps becomes by it stays far from fp16's ends


def channel_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Return the RMS norm of x (1, C, 1, T) over its channels, scaled by weight (1, C, 1, 1).

    Written so that coremltools fuses it to one `layer_norm` op, which squares in its own precision: in fp16 the
    squares of an OpenELM residual stream overflow.
    """
    channels = weight.shape[1]
    both = torch.cat((x, -x), dim=1)  # (1, 2C, 1, T), mean 0
    centred = both - both.mean(dim=1, keepdim=True)  # (1, 2C, 1, T)
    inverse = ((centred * centred).mean(dim=1, keepdim=True) + eps).rsqrt()  # (1, 1, 1, T)
    normed = centred * inverse  # (1, 2C, 1, T)
    return normed[:, :channels] * weight  # (1, C, 1, T)


def head_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Return the RMS norm of x (1, H, T, D) over each head's D values, scaled by weight (1, H, 1, D)."""
    width = weight.shape[3]
    both = torch.cat((x, -x), dim=3)  # (1, H, T, 2D)
    return F.layer_norm(both, (2 * width,), eps=eps)[:, :, :, :width] * weight  # (1, H, T, D)


def scaled_norm(x: Tensor, weight: Tensor, eps: float, dim: int) -> Tensor:
    """Return the RMS norm of x over an axis, scaled by weight, with squares that fit the precision of the values.

    For a converter without a fused norm: the largest value divides all first, and no square is over 1.
    """
    largest: Tensor = x.abs().amax(dim=dim, keepdim=True).clamp_min(_SMALLEST)
    small = x / largest  # within -1 and 1
    inverse = ((small * small).mean(dim=dim, keepdim=True) + torch.square(eps**0.5 / largest)).rsqrt()
    return small * inverse * weight


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary positions to x (1, H, T, D); cos and sin are (T, D)."""
    half = x.shape[3] // 2
    turned = torch.cat((-x[:, :, :, half:], x[:, :, :, :half]), dim=3)  # (1, H, T, D)
    return x * cos + turned * sin


class AneLayer(nn.Module):
    """One decoder layer over T tokens.

    Args:
        config: the network's shape.
        layer: which one.
        first_row: where its 2G rows of the state begin.
        shrink: what the residual stream is divided by; see `AneModel`.
        is_blended: how the state is written; see `AneModel`.
        is_scaled: how norms are written; see `AneModel`.
    """

    def __init__(
        self, config: ModelConfig, layer: int, first_row: int, shrink: float, is_blended: bool, is_scaled: bool
    ) -> None:
        super().__init__()
        dim, ffn = config.model_dim, config.ffn_dims[layer]
        self.num_query_heads, self.num_kv_heads = config.num_query_heads[layer], config.num_kv_heads[layer]
        self.head_dim, self.num_tokens, self.first_row = config.head_dim, 1, first_row
        self.ffn_dim = ffn
        self.shrink, self.is_blended, self.is_scaled = shrink, is_blended, is_scaled
        self.head_eps = config.rms_norm_eps
        self.eps = config.rms_norm_eps / shrink**2
        num_normed = self.num_query_heads + self.num_kv_heads
        num_heads = num_normed + self.num_kv_heads
        self.attn_norm = nn.Parameter(torch.ones(1, dim, 1, 1))
        self.qk_norm = nn.Parameter(torch.ones(1, num_normed, 1, self.head_dim))
        self.qkv_proj = nn.Conv2d(dim, num_heads * self.head_dim, 1, bias=False)
        self.out_proj = nn.Conv2d(self.num_query_heads * self.head_dim, dim, 1, bias=False)
        self.ffn_norm = nn.Parameter(torch.ones(1, dim, 1, 1))
        self.proj_1 = nn.Conv2d(dim, 2 * ffn, 1, bias=False)
        self.proj_2 = nn.Conv2d(ffn, dim, 1, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, state: Tensor, start: Tensor) -> Tensor:
        x = x + self.out_proj(self._shrunk(self._attend(x, cos, sin, mask, state, start)))  # (1, C, 1, T)
        both = self.proj_1(self._channel_norm(x, self.ffn_norm))  # (1, 2F, 1, T)
        gated = F.silu(both[:, : self.ffn_dim]) * self._shrunk(both[:, self.ffn_dim :])  # (1, F, 1, T)
        added: Tensor = self.proj_2(gated)  # (1, C, 1, T)
        return x + added

    def _attend(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, state: Tensor, start: Tensor) -> Tensor:
        heads, kv_heads, width, length = self.num_query_heads, self.num_kv_heads, self.head_dim, self.num_tokens
        qkv = self.qkv_proj(self._channel_norm(x, self.attn_norm))  # (1, (H+2G) D, 1, T)
        qkv = qkv.view(1, heads + 2 * kv_heads, width, length).transpose(2, 3)  # (1, H+2G, T, D)
        qk = qkv[:, : heads + kv_heads]  # (1, H+G, T, D)
        if self.is_scaled:
            qk = scaled_norm(qk, self.qk_norm, self.head_eps, dim=3)  # (1, H+G, T, D)
        else:
            qk = head_norm(qk, self.qk_norm, self.head_eps)  # (1, H+G, T, D)
        qk = rotate(qk, cos, sin)  # (1, H+G, T, D)
        new = torch.cat((qk[:, heads:], qkv[:, heads + kv_heads :]), dim=1)  # (1, 2G, T, D)
        keys_end, values_end = self.first_row + kv_heads, self.first_row + 2 * kv_heads
        self._write(state, new, start)
        keys, values = state[:, self.first_row : keys_end], state[:, keys_end:values_end]  # (1, G, S, D) each
        grouped = qk[:, :heads].reshape(1, kv_heads, heads // kv_heads * length, width)  # (1, G, H/G T, D)
        slots = state.shape[2]
        scores = grouped @ keys.transpose(2, 3)  # (1, G, H/G T, S)
        weights = (scores.view(1, heads, length, slots) + mask).softmax(dim=3)  # (1, H, T, S)
        mixed = weights.view(1, kv_heads, heads // kv_heads * length, slots) @ values  # (1, G, H/G T, D)
        mixed = mixed.view(1, heads, length, width).transpose(2, 3)  # (1, H, D, T)
        return mixed.reshape(1, heads * width, 1, length)  # (1, H D, 1, T)

    def _channel_norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return scaled_norm(x, weight, self.eps, dim=1) if self.is_scaled else channel_norm(x, weight, self.eps)

    def _write(self, state: Tensor, new: Tensor, start: Tensor) -> None:
        # Puts new (1, 2G, T, D) into the slots of this layer's rows from `start` on.
        length, rows = self.num_tokens, slice(self.first_row, self.first_row + 2 * self.num_kv_heads)
        if not self.is_blended:
            state[:, rows, start : start + length] = new
            return
        token = torch.arange(state.shape[2]) - start  # (S,), the one that a slot is given
        is_new = (token >= 0) & (token < length)  # (S,)
        one_hot = (token[:, None] == torch.arange(length)).to(new.dtype)  # (S, T)
        state[:, rows] = torch.where(is_new[:, None], one_hot @ new, state[:, rows])  # (1, 2G, S, D)

    def _shrunk(self, x: Tensor) -> Tensor:
        return x if self.shrink == 1.0 else x * (1.0 / self.shrink)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take one layer's tensors under OpenELM's names, the layer's own prefix removed."""
        self.attn_norm.copy_(weights["attn_norm.weight"].view(1, -1, 1, 1))
        self.ffn_norm.copy_(weights["ffn_norm.weight"].view(1, -1, 1, 1))
        # The norm of the queries takes the scores' 1 / sqrt(D) along.
        query = weights["attn.q_norm.weight"].float() * self.head_dim**-0.5  # (D,)
        key = weights["attn.k_norm.weight"].float()  # (D,)
        rows = [query] * self.num_query_heads + [key] * self.num_kv_heads
        self.qk_norm.copy_(torch.stack(rows)[None, :, None])  # (1, H+G, 1, D)
        for name in ("attn.qkv_proj", "attn.out_proj", "ffn.proj_1", "ffn.proj_2"):
            convolution = getattr(self, name.split(".")[1])
            convolution.weight.copy_(weights[f"{name}.weight"][:, :, None, None])


class AneModel(nn.Module):
    """The network over T new tokens, as one function of a package computes it; see `set_num_tokens`.

    Args:
        config: the network's shape.
        num_slots: S, of the state.
        num_head_parts: parts into which table and head are cut, so that no axis is over `AXIS_LIMIT`.
        shrink: a power of two that divides the residual stream where it would come near fp16's end. Every norm undoes
            it, so the function stays the same.
        is_blended: write the state by a product with one-hot rows, which `torch.export` takes, in place of a slice
            that begins at a computed slot.
        is_scaled: divide what a norm squares by its largest value, for a converter that has no fused norm.

    Attributes:
        kv_cache: the state, (1, rows of all layers, S, D); fp32 here, fp16 in the package.
        tables: the tied table in parts, each (V / parts, C).
    """

    kv_cache: Tensor

    def __init__(
        self,
        config: ModelConfig,
        num_slots: int,
        num_head_parts: int = 1,
        shrink: float = 1.0,
        is_blended: bool = False,
        is_scaled: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.shrink, self.is_scaled = shrink, is_scaled
        self.tables = nn.ModuleList(
            nn.Embedding(stop - start, config.model_dim)
            for start, stop in part_bounds(config.vocab_size, num_head_parts)
        )
        first_rows = [2 * sum(config.num_kv_heads[:layer]) for layer in range(config.num_transformer_layers)]
        self.layers = nn.ModuleList(
            AneLayer(config, layer, row, shrink, is_blended, is_scaled) for layer, row in enumerate(first_rows)
        )
        self.norm = nn.Parameter(torch.ones(1, config.model_dim, 1, 1))
        self.register_buffer("kv_cache", torch.zeros(state_shape(config, num_slots)))

    def set_num_tokens(self, num_tokens: int) -> None:
        """Choose T, which is part of the graph: a traced size would turn into operations of its own."""
        for layer in self.layers:
            cast(AneLayer, layer).num_tokens = num_tokens

    def forward(
        self, token_ids: Tensor, position: Tensor, mask: Tensor, rope: Tensor, row: Tensor | None = None
    ) -> Tensor:
        """Return logits (1, T, V), or with `row` those of one token, (1, 1, V); `names` describes the arguments."""
        width = self.config.head_dim
        cos, sin = rope[:, :width], rope[:, width:]  # (T, D) each
        start = position[0]  # a 0-d tensor: .item() would bake the position into the trace
        x = self._embed(token_ids).transpose(1, 2)[:, :, None]  # (1, C, 1, T)
        if self.shrink != 1.0:
            x = x * (1.0 / self.shrink)
        for layer in self.layers:
            x = layer(x, cos, sin, mask, self.kv_cache, start)  # (1, C, 1, T)
        if row is not None:
            x = (x * row[:, :, None]).sum(dim=3, keepdim=True)  # (1, C, 1, 1)
        norm, eps = self.norm, self.config.rms_norm_eps / self.shrink**2
        x = scaled_norm(x, norm, eps, dim=1) if self.is_scaled else channel_norm(x, norm, eps)  # (1, C, 1, T or 1)
        hidden = x[:, :, 0].transpose(1, 2)  # (1, T or 1, C)
        parts = [F.linear(hidden, table) for table in self._parts]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)  # (1, T or 1, V)

    def _embed(self, token_ids: Tensor) -> Tensor:
        tables = self._parts
        if len(tables) == 1:
            return F.embedding(token_ids, tables[0])  # (1, T, C)
        # A part that does not hold the id looks up its own edge, which is then dropped. `clamp` would be converted to a
        # clip in fp16, which has no whole numbers for all ids over 2,048.
        first = len(tables[0])
        found = F.embedding(torch.minimum(token_ids, _int(first - 1)), tables[0])  # (1, T, C)
        for table in tables[1:]:
            inside = torch.maximum(torch.minimum(token_ids - first, _int(len(table) - 1)), _int(0))  # (1, T)
            found = torch.where((token_ids >= first)[:, :, None], F.embedding(inside, table), found)  # (1, T, C)
            first += len(table)
        return found

    @property
    def _parts(self) -> list[Tensor]:
        return [cast(Tensor, table.weight) for table in self.tables]

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take a checkpoint's tensors under OpenELM's names."""
        table = weights[TABLE]
        start = 0
        for part in self._parts:
            part.copy_(table[start : start + len(part)])
            start += len(part)
        for number, layer in enumerate(self.layers):
            prefix = layer_prefix(number)
            cast(AneLayer, layer).load(
                {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
            )
        self.norm.copy_(weights[FINAL_NORM].view(1, -1, 1, 1))


def _int(value: int) -> Tensor:
    return torch.tensor([[value]], dtype=torch.int32)  # (1, 1)


def state_shape(config: ModelConfig, num_slots: int) -> tuple[int, int, int, int]:
    """Return the state's shape, (1, rows of all layers, S, D)."""
    return 1, 2 * sum(config.num_kv_heads), num_slots, config.head_dim
