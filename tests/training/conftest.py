"""A short run over the tiny corpus."""

from __future__ import annotations

import pytest
from keyboard_lm_training.run.train_config import TrainConfig


@pytest.fixture
def tiny_run() -> TrainConfig:
    """A run of six steps that takes a second or two."""
    return TrainConfig(
        size="2m", seq_len=16, batch_tokens=128, micro_batch=4, steps=6, warmup_steps=2, average_snapshots=2,
        average_interval_steps=1, eval_interval_steps=3, eval_tokens=64, log_interval_steps=1,
    )  # fmt: skip
