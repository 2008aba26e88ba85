"""OpenELM in PyTorch: the network, its flat KV cache, and nothing else.

Source: Mehta et al. 2024, "OpenELM", and the published checkpoints, whose tensor names this module keeps. Pre-norm
decoder with layer-wise scaling, grouped-query attention, RMSNorm on queries and keys before the rotation, SwiGLU with
a fused input projection, tied embeddings, no biases. Shapes use B batch, T new tokens, C model_dim, H query heads,
G key-value heads, D head_dim, V vocabulary, S cache slots.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute

from keyboard_lm.network.config import ModelConfig


class RMSNorm(nn.Module):
    """Root-mean-square norm that cannot overflow in half precision.

    OpenELM's residual stream reaches hundreds of thousands, whose squares fp16 cannot hold, so the mean square is
    always taken in fp32.
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return ((wide * scale) * self.weight.float()).to(x.dtype)


def rotary_tables(positions: Tensor, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of the rotary angles, each (..., T, D), for half-split (not interleaved) pairs."""
    exponents = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
    angles = positions.float().unsqueeze(-1) * base**-exponents  # (..., T, D/2)
    angles = torch.cat((angles, angles), dim=-1)  # (..., T, D)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary positions (Su et al. 2021) to x (B, H, T, D)."""
    first, second = x.float().chunk(2, dim=-1)  # (B, H, T, D/2) each
    turned = torch.cat((-second, first), dim=-1)  # (B, H, T, D)
    return (x.float() * cos + turned * sin).to(x.dtype)


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return grouped causal attention of q (B, H, T, D) over k and v (B, G, T, D), as (B, H, T, D).

    For training on CPU: with heads this narrow the backward pass of torch's own kernel takes five times as long.
    """
    batch, num_heads, length, head_dim = q.shape
    num_kv_heads = k.shape[1]
    rows = (q * head_dim**-0.5).reshape(batch, num_kv_heads, -1, head_dim)  # (B, G, H/G * T, D)
    scores = (rows @ k.transpose(-1, -2)).view(batch, num_heads, length, length)  # (B, H, T, T)
    hidden = torch.ones(length, length, dtype=torch.bool, device=q.device).triu(1)  # (T, T)
    weights = scores.masked_fill(hidden, float("-inf")).softmax(dim=-1).to(v.dtype)  # (B, H, T, T)
    return (weights.view(batch, num_kv_heads, -1, length) @ v).view(batch, num_heads, length, head_dim)


class KVCache:
    """Keys (rotated) and values of every layer in flat buffers; the first `length` of S slots are valid.

    Args:
        config: the network's shape.
        capacity: number of slots S.
        batch_size: sequences that share one length.
    """

    def __init__(
        self,
        config: ModelConfig,
        capacity: int,
        batch_size: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shapes = [(batch_size, heads, capacity, config.head_dim) for heads in config.num_kv_heads]
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for shape in shapes]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for shape in shapes]
        self.capacity = capacity
        self.length = 0

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put new keys and values (B, G, T, D) behind `length`; return all that are visible, (B, G, length + T, D)."""
        end = self.length + keys.shape[2]
        self.keys[layer][:, :, self.length : end] = keys
        self.values[layer][:, :, self.length : end] = values
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.num_query_heads = config.num_query_heads[layer]
        self.num_kv_heads = config.num_kv_heads[layer]
        self.head_dim = config.head_dim
        num_heads = self.num_query_heads + 2 * self.num_kv_heads
        self.qkv_proj = nn.Linear(config.model_dim, num_heads * self.head_dim, bias=False)
        self.q_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
        self.out_proj = nn.Linear(self.num_query_heads * self.head_dim, config.model_dim, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, cache: KVCache | None) -> Tensor:
        batch, length, _ = x.shape
        qkv = self.qkv_proj(x).view(batch, length, -1, self.head_dim).transpose(1, 2)  # (B, H+2G, T, D)
        sizes = [self.num_query_heads, self.num_kv_heads, self.num_kv_heads]
        q, k, v = qkv.split(sizes, dim=1)  # (B, H, T, D), (B, G, T, D), (B, G, T, D)
        q = rotate(self.q_norm(q), cos, sin)
        k = rotate(self.k_norm(k), cos, sin)
        if cache is not None:
            k, v = cache.write(self.layer, k, v)  # (B, G, S, D)
        if cache is None and mask is None and self.training and x.device.type == "cpu":
            mixed = causal_attention(q, k, v)  # (B, H, T, D)
        else:
            mixed = F.scaled_dot_product_attention(
                q, k.to(q.dtype), v.to(q.dtype), attn_mask=mask, is_causal=mask is None, enable_gqa=True
            )  # (B, H, T, D)
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, length, -1))  # (B, T, C)


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020) whose gate and up projections are one matrix, the gate first."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.proj_1 = nn.Linear(config.model_dim, 2 * config.ffn_dims[layer], bias=False)
        self.proj_2 = nn.Linear(config.ffn_dims[layer], config.model_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.proj_1(x).chunk(2, dim=-1)  # (B, T, F) each
        return self.proj_2(F.silu(gate) * up)  # (B, T, C)


class DecoderLayer(nn.Module):
    """One pre-norm layer: attention, then feed-forward.

    Attributes:
        dropout: share of what either adds to the residual stream that is set to zero in training.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(config.model_dim, config.rms_norm_eps)
        self.attn = Attention(config, layer)
        self.ffn_norm = RMSNorm(config.model_dim, config.rms_norm_eps)
        self.ffn = FeedForward(config, layer)
        self.dropout = 0.0

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, cache: KVCache | None) -> Tensor:
        x = x + self._dropped(self.attn(self.attn_norm(x), cos, sin, mask, cache))  # (B, T, C)
        return x + self._dropped(self.ffn(self.ffn_norm(x)))  # (B, T, C)

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.training and self.dropout else x


class Decoder(nn.Module):
    """Embedding table, layers and the last norm; the name of each part is that of OpenELM's checkpoints."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.token_embeddings = nn.Embedding(config.vocab_size, config.model_dim)
        self.layers = nn.ModuleList(DecoderLayer(config, i) for i in range(config.num_transformer_layers))
        self.norm = RMSNorm(config.model_dim, config.rms_norm_eps)


class OpenELM(nn.Module):
    """The language model: token ids in, next-token logits out.

    Args:
        config: the network's shape.

    Attributes:
        checkpoint_layers: recompute each layer's activations in the backward pass instead of keeping them.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = Decoder(config)
        self.checkpoint_layers = False

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator | None = None) -> None:
        """Draw OpenELM's initial weights: N(0, fan_in^-1/2), residual outputs scaled down by sqrt(2 N)."""
        config = self.config
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:
                nn.init.ones_(parameter)
                continue
            std = config.model_dim**-0.5
            if name.endswith(("out_proj.weight", "proj_2.weight")):
                std *= (2 * config.num_transformer_layers) ** -0.5
            nn.init.normal_(parameter, std=std, generator=generator)

    def hidden(
        self,
        token_ids: Tensor,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Return the normed output of the last layer.

        Args:
            token_ids: (B, T), int64.
            positions: (T,), the place of each token; by default those that follow the cache.
            mask: (T, S) or broadcastable, True where a token may attend; by default causal. With a cache, S counts
                its valid slots and the T new ones.
            cache: written behind `cache.length`, which the caller advances to keep the tokens.

        Returns:
            (B, T, C).
        """
        length = token_ids.shape[1]
        start = cache.length if cache is not None else 0
        if positions is None:
            positions = torch.arange(start, start + length, device=token_ids.device)
        if mask is None and start and length > 1:
            mask = torch.ones(length, start + length, dtype=torch.bool, device=token_ids.device).tril(start)  # (T, S)
        elif mask is None and start:
            mask = torch.ones(1, start + 1, dtype=torch.bool, device=token_ids.device)  # (1, S)
        cos, sin = rotary_tables(positions, self.config.head_dim, self.config.rope_freq_constant)  # (T, D)
        x = self.transformer.token_embeddings(token_ids)  # (B, T, C)
        for layer in self.transformer.layers:
            if self.checkpoint_layers and self.training:
                x = recompute(layer, x, cos, sin, mask, cache, use_reentrant=False)
            else:
                x = layer(x, cos, sin, mask, cache)
        return self.transformer.norm(x)  # (B, T, C)

    def head(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., V) of hidden states (..., C), through the tied table."""
        return F.linear(hidden, self.transformer.token_embeddings.weight)

    def forward(
        self,
        token_ids: Tensor,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Return logits (B, T, V); the arguments are those of `hidden`."""
        return self.head(self.hidden(token_ids, positions, mask, cache))
