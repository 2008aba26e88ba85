"""Folders for mlx-lm: Hugging Face's layout, and weights in MLX's own 4 and 8 bits if asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keyboard_lm.backends.mlx_format import group_size
from keyboard_lm.errors import MissingExtraError
from keyboard_lm.export.hf import hf_config, write_folder
from keyboard_lm.network.checkpoint import Checkpoint, Weights


def export_folder(checkpoint: Checkpoint, output: Path, bits: int = 4) -> dict[str, int]:
    """Write a folder that `mlx_lm.load` takes, whole or not at all; one of that name is replaced.

    Args:
        checkpoint: with weights.
        output: the folder.
        bits: 4 or 8 quantize every matrix, the tied table included (mlx-lm's affine form); 16 keeps fp16.

    Returns:
        Its bytes, bits and group size (0 at 16 bits).

    Raises:
        CheckpointError: the weights are missing or damaged, or the folder cannot be written.
        ConfigError: see `keyboard_lm.backends.mlx_format.group_size`.
        MissingExtraError: safetensors or, for 4 and 8 bits, mlx is not installed.
    """
    config: dict[str, Any] = {**hf_config(checkpoint.config), "torch_dtype": "float16"}
    tensors = {name: value.astype(np.float16) for name, value in checkpoint.weights().items()}
    size = 0
    if bits < 16:
        size = group_size(checkpoint.config)
        config["quantization"] = config["quantization_config"] = {"group_size": size, "bits": bits}
        tensors = _quantized(tensors, bits, size)
    write_folder(output, checkpoint, tensors, config)
    return {"num_bytes": sum(file.stat().st_size for file in output.iterdir()), "bits": bits, "group_size": size}


def _quantized(weights: Weights, bits: int, size: int) -> Weights:
    try:
        import mlx.core as mx
    except ImportError:
        raise MissingExtraError("mlx", "mlx") from None
    tensors: Weights = {}
    for name, value in weights.items():
        if value.ndim == 1:
            tensors[name] = value
            continue
        packed, scales, biases = mx.quantize(mx.array(value), group_size=size, bits=bits)
        stem = name.removesuffix(".weight")
        tensors |= {name: np.array(packed), f"{stem}.scales": np.array(scales), f"{stem}.biases": np.array(biases)}
    return tensors
