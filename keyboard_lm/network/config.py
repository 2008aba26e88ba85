"""The network's configuration, with OpenELM's own field names and layer-wise scaling rule.

Source: Mehta et al. 2024, "OpenELM: An Efficient Language Model Family with Open Training and Inference Framework",
section 2.1, and the ``config.json`` files of its published checkpoints.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from keyboard_lm.errors import ConfigError
from keyboard_lm.tables import parse_toml, strict

KV_BYTES_PER_VALUE = 2  # the cache is fp16 on a phone
PALETTE_BITS = 4


def make_divisible(value: float, divisor: int) -> int:
    """Round `value` to a multiple of `divisor`, never below 0.9 x `value` (MobileNet's rule, as OpenELM uses it)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def _scaled(bounds: tuple[float, float], num_layers: int) -> tuple[float, ...]:
    """Return one multiplier per layer, evenly spaced between the bounds, rounded to 2 decimals as published."""
    low, high = bounds
    step = (high - low) / (num_layers - 1) if num_layers > 1 else 0.0
    return tuple(round(low + step * i, 2) for i in range(num_layers))


@dataclass(frozen=True)
class ModelConfig:
    """One network's shape; the field names are those of OpenELM's ``config.json``.

    Attributes:
        num_transformer_layers: number of decoder layers.
        model_dim: width of the residual stream (C).
        head_dim: width of one attention head (D).
        vocab_size: number of tokenizer pieces (V).
        max_context_length: longest sequence the network is trained for, in tokens.
        num_gqa_groups: query heads that share one key-value head.
        qkv_multipliers: attention width over `model_dim` at the first and the last layer.
        ffn_multipliers: feed-forward width over `model_dim` at the first and the last layer.
        ffn_dim_divisor: feed-forward widths are multiples of this.
        rope_freq_constant: base of the rotary angles.
        normalize_qk_projections: RMSNorm on queries and keys before the rotation.
        share_input_output_layers: the output head is the embedding table.
        rms_norm_eps: added to the mean square in every RMSNorm.

    Raises:
        ConfigError: on construction, listing every invalid field.
    """

    num_transformer_layers: int
    model_dim: int
    head_dim: int
    vocab_size: int
    max_context_length: int = 2048
    num_gqa_groups: int = 4
    qkv_multipliers: tuple[float, float] = (0.5, 1.0)
    ffn_multipliers: tuple[float, float] = (0.5, 4.0)
    ffn_dim_divisor: int = 256
    rope_freq_constant: float = 10_000.0
    normalize_qk_projections: bool = True
    share_input_output_layers: bool = True
    rms_norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        mistakes = []
        for name in (
            "num_transformer_layers", "model_dim", "head_dim", "vocab_size", "max_context_length",
            "num_gqa_groups", "ffn_dim_divisor",
        ):  # fmt: skip
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                mistakes.append(f"{name} must be a whole number of at least 1, not {value!r}")
        for name in ("qkv_multipliers", "ffn_multipliers"):
            value = getattr(self, name)
            if not isinstance(value, (tuple, list)) or len(value) != 2 or not all(_is_positive(x) for x in value):
                mistakes.append(f"{name} must be two positive numbers (first and last layer), not {value!r}")
            else:
                object.__setattr__(self, name, (float(value[0]), float(value[1])))
        for name in ("rope_freq_constant", "rms_norm_eps"):
            if not _is_positive(getattr(self, name)):
                mistakes.append(f"{name} must be a positive number, not {getattr(self, name)!r}")
        if isinstance(self.head_dim, int) and self.head_dim % 2:
            mistakes.append(f"head_dim must be even for rotary positions, not {self.head_dim}")
        if self.normalize_qk_projections is not True:
            mistakes.append("normalize_qk_projections must be true: every published OpenELM normalises them")
        if self.share_input_output_layers is not True:
            mistakes.append("share_input_output_layers must be true: every published OpenELM ties its embeddings")
        if mistakes:
            raise ConfigError("model configuration: " + "; ".join(mistakes))

    @property
    def num_query_heads(self) -> tuple[int, ...]:
        """Query heads (H) of each layer."""
        divisor = self.head_dim * self.num_gqa_groups
        return tuple(
            make_divisible(self.model_dim * m, divisor) // self.head_dim
            for m in _scaled(self.qkv_multipliers, self.num_transformer_layers)
        )

    @property
    def num_kv_heads(self) -> tuple[int, ...]:
        """Key-value heads of each layer."""
        return tuple(heads // self.num_gqa_groups for heads in self.num_query_heads)

    @property
    def layer_ffn_multipliers(self) -> tuple[float, ...]:
        """Feed-forward width over `model_dim` of each layer, before rounding, as OpenELM's files list it."""
        return _scaled(self.ffn_multipliers, self.num_transformer_layers)

    @property
    def ffn_dims(self) -> tuple[int, ...]:
        """Feed-forward width of each layer."""
        return tuple(make_divisible(self.model_dim * m, self.ffn_dim_divisor) for m in self.layer_ffn_multipliers)

    @property
    def num_embedding_parameters(self) -> int:
        return self.vocab_size * self.model_dim

    @property
    def num_parameters(self) -> int:
        """Parameters of the whole network; the tied table counts once."""
        total = self.num_embedding_parameters + self.model_dim
        for heads, kv_heads, ffn in zip(self.num_query_heads, self.num_kv_heads, self.ffn_dims, strict=True):
            total += self.model_dim * (heads + 2 * kv_heads) * self.head_dim  # qkv_proj
            total += heads * self.head_dim * self.model_dim  # out_proj
            total += 3 * self.model_dim * ffn  # proj_1 = [gate; up], proj_2
            total += 2 * self.model_dim + 2 * self.head_dim  # attn_norm, ffn_norm, q_norm, k_norm
        return total

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes that one token takes in the fp16 KV cache."""
        return sum(self.num_kv_heads) * 2 * self.head_dim * KV_BYTES_PER_VALUE

    def weight_bytes(self, bits: int) -> int:
        """Return the bytes of all weights at `bits` per parameter, look-up tables and scales not counted."""
        return (self.num_parameters * bits + 7) // 8

    def to_json(self) -> str:
        """Return ``config.json`` as text: the fields, then what they imply per layer, as OpenELM's files have it."""
        fields: dict[str, Any] = {"model_type": "openelm", **dataclasses.asdict(self)}
        fields["num_query_heads"] = list(self.num_query_heads)
        fields["num_kv_heads"] = list(self.num_kv_heads)
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = "config.json") -> ModelConfig:
        """Build a configuration from parsed JSON or TOML.

        Args:
            values: fields by name; the derived ones that `to_json` writes are checked against the formula.
            source: where the values come from, for the message.

        Raises:
            ConfigError: unknown or missing keys, invalid values, or derived values that contradict the formula.
        """
        derived = ("model_type", "num_query_heads", "num_kv_heads")
        if not isinstance(values, dict):
            raise ConfigError(f"{source}: must be a table")
        config = strict(cls, {name: value for name, value in values.items() if name not in derived}, source)
        for name in ("num_query_heads", "num_kv_heads"):
            if name in values and tuple(values[name]) != getattr(config, name):
                raise ConfigError(
                    f"{source}: {name} is {values[name]}, but the scaling rule gives {list(getattr(config, name))}"
                )
        return config


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")


@cache
def model_sizes() -> dict[str, ModelConfig]:
    """Return the named sizes that ship with the package, smallest first."""
    text = resources.files(__package__).joinpath("sizes.toml").read_text(encoding="utf-8")
    sizes = parse_toml(text, "sizes.toml")
    return {name: ModelConfig.from_dict(values, f"sizes.toml [{name}]") for name, values in sizes.items()}


def model_size(name: str) -> ModelConfig:
    """Return the configuration of a named size, or the one that a TOML file describes; see `size_name`.

    Raises:
        ConfigError: no such size, or a file that is missing or describes none.
    """
    if not _is_size_file(name):
        return model_sizes()[size_name(name)]
    try:
        text = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no file {name}; give one with a table of sizes.toml's keys") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: no model size ({error})") from None
    return ModelConfig.from_dict(parse_toml(text, name), name)


def size_name(name: str) -> str:
    """Return the name of a size as `model_sizes` has it: ``1.1B`` is ``1_1b``; a TOML file keeps its path.

    Raises:
        ConfigError: no such size; the message lists those there are.
    """
    if _is_size_file(name):
        return name
    key = name.lower().replace(".", "_")
    if key not in model_sizes():
        raise ConfigError(f"no model size {name!r}; choose one of: {', '.join(model_sizes())}, or a file NAME.toml")
    return key


def _is_size_file(name: str) -> bool:
    return name.endswith(".toml")
