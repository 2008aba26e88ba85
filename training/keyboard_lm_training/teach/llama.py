"""Llama's network in PyTorch: what a teacher that others have trained is run and tuned with.

Pre-norm decoder with grouped-query attention, rotary positions and SwiGLU (Touvron et al. 2023, "LLaMA"), no biases.
Parameters carry the names of Hugging Face's checkpoints. Shapes use B batch, T tokens, C width, H query heads, G
key-value heads, D head width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keyboard_lm.errors import ConfigError
from keyboard_lm.network.model import RMSNorm, causal_attention, rotary_tables, rotate


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """The shape of a Llama.

    Attributes:
        vocab_size: tokens (V).
        width: of the residual stream (C).
        num_layers: decoder layers.
        num_query_heads: of each layer (H).
        num_kv_heads: of each layer (G); divides the query heads.
        head_dim: width of a head (D).
        ffn_dim: width between the feed-forward projections.
        rope_base: slowest rotation's base.
        norm_eps: added to mean squares.
        max_context: tokens it was trained on at once.
        is_tied: whether the head is the embedding table.

    Raises:
        ConfigError: on construction, listing every mistake.
    """

    vocab_size: int
    width: int
    num_layers: int
    num_query_heads: int
    num_kv_heads: int
    head_dim: int
    ffn_dim: int
    rope_base: float = 10_000.0
    norm_eps: float = 1e-5
    max_context: int = 2048
    is_tied: bool = True

    def __post_init__(self) -> None:
        sizes = (
            "vocab_size", "width", "num_layers", "num_query_heads", "num_kv_heads", "head_dim", "ffn_dim", "max_context"
        )  # fmt: skip
        mistakes = [
            f"{name} must be at least 1, not {getattr(self, name)}" for name in sizes if getattr(self, name) < 1
        ]
        if not mistakes and self.num_query_heads % self.num_kv_heads:
            mistakes.append(f"{self.num_query_heads} query heads cannot share {self.num_kv_heads} key-value heads")
        if mistakes:
            raise ConfigError("Llama: " + "; ".join(mistakes))

    @property
    def num_parameters(self) -> int:
        """Return how many values the network has."""
        heads = self.num_query_heads + self.num_kv_heads
        layer = 2 * heads * self.head_dim * self.width + 3 * self.width * self.ffn_dim + 2 * self.width
        return self.num_layers * layer + self.width + (1 if self.is_tied else 2) * self.vocab_size * self.width


class _Attention(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.q_proj = nn.Linear(config.width, config.num_query_heads * config.head_dim, bias=False)
        self.k_proj = nn.Linear(config.width, config.num_kv_heads * config.head_dim, bias=False)
        self.v_proj = nn.Linear(config.width, config.num_kv_heads * config.head_dim, bias=False)
        self.o_proj = nn.Linear(config.num_query_heads * config.head_dim, config.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = (
            projection(x).view(batch, length, -1, self.head_dim).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )  # (B, H, T, D), (B, G, T, D), (B, G, T, D)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if self.training and x.device.type == "cpu":
            mixed = causal_attention(q, k, v)  # (B, H, T, D)
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)  # (B, H, T, D)
        merged: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))  # (B, T, C)
        return merged


class _FeedForward(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.ffn_dim, bias=False)
        self.up_proj = nn.Linear(config.width, config.ffn_dim, bias=False)
        self.down_proj = nn.Linear(config.ffn_dim, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))  # (B, T, C)
        return out


class LlamaLayer(nn.Module):
    """One pre-norm layer: attention, then feed-forward."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.width, config.norm_eps)
        self.self_attn = _Attention(config)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_eps)
        self.mlp = _FeedForward(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)  # (B, T, C)
        y: Tensor = x + self.mlp(self.post_attention_layernorm(x))  # (B, T, C)
        return y


class _Decoder(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.width)
        self.layers = nn.ModuleList(LlamaLayer(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.width, config.norm_eps)


class Llama(nn.Module):
    """The language model: token ids in, next-token logits out.

    Args:
        config: the network's shape.
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.model = _Decoder(config)
        self.lm_head = None if config.is_tied else nn.Linear(config.width, config.vocab_size, bias=False)

    @property
    def table(self) -> Tensor:
        """The head's matrix, (V, C)."""
        return self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    @property
    def layers(self) -> list[LlamaLayer]:
        """The layers in order."""
        return [layer for layer in self.model.layers if isinstance(layer, LlamaLayer)]

    def hidden(self, token_ids: Tensor) -> Tensor:
        """Return the normed output of the last layer, (B, T, C), for token ids (B, T)."""
        positions = torch.arange(token_ids.shape[1], device=token_ids.device)
        cos, sin = rotary_tables(positions, self.config.head_dim, self.config.rope_base)  # (T, D)
        # The residual stream is wider than bf16: under autocast, weights in bf16 then cost next to no precision.
        x = self.model.embed_tokens(token_ids).float()  # (B, T, C)
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        out: Tensor = self.model.norm(x)  # (B, T, C)
        return out

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return logits (B, T, V)."""
        return F.linear(self.hidden(token_ids), self.table)
