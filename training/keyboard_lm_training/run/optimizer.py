"""Optimizers, and the learning rate at each step."""

from __future__ import annotations

import math

import torch
from torch import nn

from keyboard_lm_training.run.devices import Placement
from keyboard_lm_training.run.muon import Muon, iteration_dtype
from keyboard_lm_training.run.train_config import TrainConfig


def build_optimizers(
    model: nn.Module, config: TrainConfig, muon_dtype: torch.dtype = torch.bfloat16
) -> list[torch.optim.Optimizer]:
    """Return the optimizers of a network: AdamW alone, or Muon for the layers' matrices with AdamW for the rest.

    Weight decay acts on matrices, not on norms.

    Args:
        model: the network.
        config: the run.
        muon_dtype: of Muon's iteration; see `muon_dtype_for`.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    is_hidden_matrix = {name: p.dim() == 2 and "token_embeddings" not in name for name, p in named}
    use_muon = config.optimizer == "muon"
    groups = [
        {
            "params": [p for name, p in named if p.dim() > 1 and not (use_muon and is_hidden_matrix[name])],
            "weight_decay": config.weight_decay,
        },
        {"params": [p for _, p in named if p.dim() <= 1], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        betas=config.betas,
        eps=1e-8,
        fused=all(p.device.type != "mps" for _, p in named),
    )
    if not use_muon:
        return [adamw]
    matrices = [p for name, p in named if is_hidden_matrix[name]]
    return [Muon(matrices, config.learning_rate, config.weight_decay, 0.95, muon_dtype), adamw]


def muon_dtype_for(config: TrainConfig, place: Placement) -> torch.dtype:
    """Return what Muon iterates in, the same on every process: bf16, or fp32 where one of them is slow at it."""
    if config.optimizer != "muon":
        return torch.bfloat16
    is_slow = iteration_dtype(place.device) == torch.float32
    return torch.float32 if place.any(is_slow) else torch.bfloat16


def learning_rate_share(step: int, config: TrainConfig) -> float:
    """Return the learning rate of optimizer step `step` (from 0) as a share of the peak.

    Linear warm-up; then a cosine to `final_lr_share`, or constant with a linear end (WSD, Hu et al. 2024, "MiniCPM").
    """
    warm_up = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    last = config.final_lr_share
    if config.schedule == "cosine":
        progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
        return min(warm_up, last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress)))))
    decay_steps = max(1, round(config.steps * config.decay_share))
    remaining = (config.steps - step) / decay_steps
    return min(warm_up, last + (1 - last) * min(1.0, max(0.0, remaining)))
