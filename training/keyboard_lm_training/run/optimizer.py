"""Optimizers, and the learning rate at each step."""

from __future__ import annotations

import math

import torch
from torch import nn

from keyboard_lm.errors import TrainingError
from keyboard_lm_training.run.train_config import TrainConfig


def build_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Return the optimizers of a network: AdamW alone, or Muon for the layers' matrices with AdamW for the rest.

    Weight decay acts on matrices, not on norms. Muon (Jordan 2024) gets its updates scaled to AdamW's root mean
    square (Liu et al. 2025, "Muon is scalable for LLM training"), so that one learning rate serves both.

    Raises:
        TrainingError: this torch has no Muon.
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
    if not hasattr(torch.optim, "Muon"):
        raise TrainingError(f"torch {torch.__version__} has no Muon (2.9 and newer do); use --optimizer adamw")
    muon = torch.optim.Muon(
        [p for name, p in named if is_hidden_matrix[name]],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        momentum=0.95,
        adjust_lr_fn="match_rms_adamw",
    )
    return [muon, adamw]


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
