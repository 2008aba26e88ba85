"""Training throughput of one size, against what the machine's matrix products reach in the same run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from keyboard_lm.bench.repeat import Timing, time_calls
from keyboard_lm.network.config import model_size
from keyboard_lm.network.model import OpenELM
from keyboard_lm_training.run.devices import LossModel, Placement
from keyboard_lm_training.run.optimizer import build_optimizers, muon_dtype_for
from keyboard_lm_training.run.plan import flops_per_token, measure_matmul_flops
from keyboard_lm_training.run.train_config import preset_for


@dataclass(frozen=True)
class TrainingSpeed:
    """The speed of whole optimizer steps (forward, backward, clipping, update) as the size's preset has them.

    Attributes:
        size: the named size trained, with random weights on random tokens.
        optimizer: of the preset.
        precision: of the preset.
        step: one step over `batch` sequences of `seq_len` tokens.
        batch: sequences in a step.
        seq_len: tokens in a sequence.
        tokens_per_s: from the median step.
        matmul_bf16_gflops: rate of a square matrix product, in 10^9 operations a second; median of those measured
            between the steps.
        matmul_fp32_gflops: the same in fp32.
        mfu: model FLOPs utilisation: 6 per parameter and attention's products, times tokens/s, over
            `matmul_bf16_gflops`. What the optimizer computes is not counted.
    """

    size: str
    optimizer: str
    precision: str
    step: Timing
    batch: int
    seq_len: int
    tokens_per_s: float
    matmul_bf16_gflops: float
    matmul_fp32_gflops: float
    mfu: float


def measure_training(runs: int, size: str = "9m") -> TrainingSpeed:
    """Time `runs` optimizer steps on the CPU, and matrix products between them."""
    config = preset_for(size)
    model_config = model_size(size)
    generator = torch.Generator().manual_seed(0)
    model = OpenELM(model_config)
    model.init_weights(generator)
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    module = LossModel(model, config.z_loss_weight, dtype).train()
    optimizers = build_optimizers(module, config, muon_dtype_for(config, Placement(torch.device("cpu"))))
    batch = config.sequences_per_step
    windows = torch.randint(model_config.vocab_size, (batch, config.seq_len + 1), generator=generator)  # (B, T + 1)

    def train_step() -> None:
        for start in range(0, batch, config.micro_batch):
            rows = windows[start : start + config.micro_batch]
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                loss, _ = module(rows)
                (loss * (len(rows) / batch)).backward()
        nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    rates: dict[str, list[float]] = {"bf16": [], "fp32": []}

    def measure_ceiling() -> None:
        # Before each step, so that a machine whose speed drifts slows both sides of the ratio.
        for precision, values in rates.items():
            values.append(measure_matmul_flops(torch.device("cpu"), precision, seconds=0.1) / 1e9)

    step = time_calls(train_step, runs, measure_ceiling)
    tokens_per_s = config.batch_tokens / step.median_ms * 1000
    bf16, fp32 = (sorted(values)[len(values) // 2] for values in rates.values())
    mfu = flops_per_token(model_config, config.seq_len) * tokens_per_s / (bf16 * 1e9)
    return TrainingSpeed(
        size, config.optimizer, config.precision, step, batch, config.seq_len, tokens_per_s, bf16, fp32, mfu
    )
