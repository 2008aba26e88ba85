"""Train with schedule-free AdamW (Defazio et al. 2024, "The Road Less Scheduled") in place of the run's optimizer.

    pip install schedulefree
    python training/experiments/schedule_free.py --size 2m --data data/keyboard --decay-share 0 --learning-rate 8e-3 ...

Takes the options of `keyboard-lm train`. An experiment: such a run cannot be resumed.
"""

from __future__ import annotations

from typing import Any

import schedulefree
import torch
from keyboard_lm_training.run import trainer
from keyboard_lm_training.run.train_config import TrainConfig
from torch import nn

from keyboard_lm.cli.train import command


def build_optimizers(
    model: nn.Module, config: TrainConfig, muon_dtype: torch.dtype = torch.bfloat16
) -> list[torch.optim.Optimizer]:
    """Return the optimizer, in training mode; decay acts on matrices as in the run's own."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [each for each in parameters if each.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [each for each in parameters if each.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = schedulefree.AdamWScheduleFree(groups, lr=config.learning_rate, betas=config.betas)
    optimizer.train()
    return [optimizer]


class ScheduleFreeTrainer(trainer.Trainer):
    """Measures and writes the averaged weights, trains at the interpolated ones, as the paper does."""

    def measure(self) -> dict[str, float]:
        optimizer: Any = self._optimizers[0]
        optimizer.eval()
        try:
            return super().measure()
        finally:
            optimizer.train()

    def _finish(self) -> Any:
        optimizer: Any = self._optimizers[0]
        optimizer.eval()
        return super()._finish()

    def _save(self, saved_step: int) -> None:
        pass


if __name__ == "__main__":
    trainer.build_optimizers = build_optimizers
    trainer.Trainer = ScheduleFreeTrainer  # type: ignore[misc]
    command()
