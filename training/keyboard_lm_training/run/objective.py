"""What a run minimises: next-token cross-entropy here, and the place where other objectives plug into the trainer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.model import OpenELM
from keyboard_lm_training.run.devices import LossModel, Placement
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.training_data import TrainingData


class Objective:
    """Next-token cross-entropy with z-loss; `distill` and `tune` derive from it.

    An objective adds no state of its own to a run: what it computes depends on the step, the windows and the weights
    alone, so that a stopped run goes on bit for bit.
    """

    def describe(self) -> dict[str, Any] | None:
        """Return what `run.json` and the checkpoint's record keep of it, None for plain training."""
        return None

    def check(self, config: TrainConfig, model_config: ModelConfig, data: TrainingData) -> None:
        """Refuse a run that this objective does not fit.

        Raises:
            TrainingError: it does not, and what to change.
        """

    def loss_model(self, model: OpenELM, config: TrainConfig, dtype: torch.dtype, place: Placement) -> LossModel:
        """Return the network with its loss as one module.

        Args:
            model: the network that learns, on the device of `place`.
            config: the run.
            dtype: precision of the head's matrix products.
            place: where this process runs.
        """
        return LossModel(model, config.z_loss_weight, dtype, config.compile)

    def targets(self, start: int, windows: Tensor) -> tuple[Tensor, ...]:
        """Return what the loss needs beside windows (B, T + 1), the first of which is number `start` of the order.

        Called under the run's autocast; gradients of what it computes are its own affair.
        """
        return ()

    def finished(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a finished run's weights as its checkpoint keeps them."""
        return weights
