"""What a run will cost on this machine, before it starts."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import torch

from keyboard_lm.network.config import ModelConfig
from keyboard_lm_training.run.devices import Placement
from keyboard_lm_training.run.train_config import TrainConfig

ABSURD_SECONDS = 30 * 24 * 3600
# Share of the measured matrix-multiply rate that training reaches: 0.55 measured for the 9m size on two CPU cores; on
# GPUs OpenELM-sized networks are commonly reported at 0.35 to 0.4.
_MODEL_FLOP_UTILISATION = {"cpu": 0.55, "cuda": 0.35, "mps": 0.35}
_PROBE_SIZE = {"cpu": 1024, "cuda": 8192, "mps": 4096}


@dataclass(frozen=True)
class TrainingPlan:
    """Figures printed before a run.

    Attributes:
        parameters: of the network.
        tokens: the run sees in all.
        epochs: passes over the weighted corpus.
        flops_per_token: forward and backward.
        matmul_flops: floating-point operations per second of one device, measured on a matrix product.
        tokens_per_second: estimate over all devices.
        seconds: estimate for the whole run.
        memory_bytes: estimate per device.
        machine_bytes: memory that device has; 0 where unknown.
        advice: one sentence each on what makes the run unreasonable here, and what would help.
    """

    parameters: int
    tokens: int
    epochs: float
    flops_per_token: int
    matmul_flops: float
    tokens_per_second: float
    seconds: float
    memory_bytes: int
    machine_bytes: int
    advice: tuple[str, ...]


def make_plan(
    config: TrainConfig, model: ModelConfig, tokens_per_epoch: int, place: Placement, extra_flops_per_token: int = 0
) -> TrainingPlan:
    """Estimate time and memory of a run; takes a fraction of a second for a probe of the device's speed.

    Args:
        config: the run.
        model: its network, with the corpus's vocabulary.
        tokens_per_epoch: of the weighted corpus.
        place: where it runs.
        extra_flops_per_token: what the objective computes beside the network, such as a teacher's forward pass.
    """
    flops = flops_per_token(model, config.seq_len)
    if config.recompute_activations:
        flops += flops // 3
    flops += extra_flops_per_token
    matmul_flops = measure_matmul_flops(place.device, config.precision)
    rate = matmul_flops * _MODEL_FLOP_UTILISATION[place.device.type] / flops * place.world_size
    seconds = config.total_tokens / rate
    memory = memory_bytes(config, model, place)
    machine = _machine_bytes(place.device)
    advice = []
    if seconds > ABSURD_SECONDS:
        fitting = int(ABSURD_SECONDS * rate / config.batch_tokens)
        advice.append(
            f"this would take about {format_seconds(seconds)} here; a smaller --size, fewer --steps "
            f"(about {fitting} fit into 30 days) or more devices (torchrun) would help"
        )
    if config.total_tokens > 16 * tokens_per_epoch:
        advice.append(
            f"the corpus would be read {config.total_tokens / tokens_per_epoch:.0f} times, and more than about 16 "
            "passes teach little (Muennighoff et al. 2023); give more text with --data"
        )
    if machine and memory > 0.9 * machine:
        advice.append(
            f"it needs about {memory / 1e9:.1f} GB of {machine / 1e9:.1f} GB; a smaller --micro-batch, "
            "--recompute-activations or --strategy fsdp would help"
        )
    return TrainingPlan(
        model.num_parameters, config.total_tokens, config.total_tokens / tokens_per_epoch, flops, matmul_flops, rate,
        seconds, memory, machine, tuple(advice),
    )  # fmt: skip


def flops_per_token(model: ModelConfig, seq_len: int) -> int:
    """Return floating-point operations per trained token: 6 per parameter (Kaplan et al. 2020), and attention's own."""
    attention = sum(12 * heads * model.head_dim * seq_len // 2 for heads in model.num_query_heads)
    return 6 * model.num_parameters + attention


def memory_bytes(config: TrainConfig, model: ModelConfig, place: Placement) -> int:
    """Estimate one device's memory: weights, gradients and moments in fp32, and one micro-batch's activations."""
    states = model.num_parameters * (16 if config.optimizer == "adamw" else 12)
    if config.strategy == "fsdp":
        states //= place.world_size
    tokens = min(config.micro_batch, config.sequences_per_step) * config.seq_len
    scores = 3 * 2 * config.seq_len if place.device.type == "cpu" else 0  # GPUs' fused attention keeps none
    per_layer = [
        # Inputs, norms and rotations kept in fp32, projections in the run's precision, attention weights.
        6 * 4 * model.model_dim + 10 * 4 * heads * model.head_dim + 5 * 4 * ffn + heads * scores
        for heads, ffn in zip(model.num_query_heads, model.ffn_dims, strict=True)
    ]
    kept = max(per_layer) + 4 * model.model_dim * len(per_layer) if config.recompute_activations else sum(per_layer)
    return states + tokens * kept + 4 * 512 * model.vocab_size * 3 + 500_000_000


def measure_matmul_flops(device: torch.device, precision: str, seconds: float = 0.3) -> float:
    """Return the operations per second that a square matrix product reaches on this device."""
    size = _PROBE_SIZE[device.type]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)

    def run(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            product = left @ right
        float(product[0, 0])  # waits for the device
        return time.perf_counter() - started

    run(1)
    once = run(1)
    count = max(1, int(seconds / max(once, 1e-6)))
    return 2 * size**3 * count / run(count)


def format_seconds(seconds: float) -> str:
    """Return a duration as people say it."""
    for unit, length in (("years", 365 * 24 * 3600), ("days", 24 * 3600), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _machine_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0
