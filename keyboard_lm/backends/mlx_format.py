"""What an MLX folder and the MLX backend agree on: how matrices are cut into groups for quantization."""

from __future__ import annotations

from keyboard_lm.errors import ConfigError
from keyboard_lm.network.config import ModelConfig

GROUP_SIZES = (64, 32)  # that MLX has; the first that divides all rows is taken


def group_size(config: ModelConfig) -> int:
    """Return how many weights share a scale and a bias.

    Raises:
        ConfigError: no group size of MLX's divides the rows of all matrices.
    """
    rows = {config.model_dim, *(heads * config.head_dim for heads in config.num_query_heads), *config.ffn_dims}
    for size in GROUP_SIZES:
        if all(row % size == 0 for row in rows):
            return size
    raise ConfigError(f"MLX cannot quantize rows of {min(rows)} weights: none of its groups fits; use --bits 16")
