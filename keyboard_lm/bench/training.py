"""Training throughput of one size, against what the machine's matrix products reach in the same run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from keyboard_lm.bench.repeat import Timing, time_calls
from keyboard_lm.config import model_size
from keyboard_lm.errors import MissingExtraError

SIZE = "9m"
SEQ_LEN = 128
BATCH = 32
_MATRIX = 2048


@dataclass(frozen=True)
class TrainingSpeed:
    """Steps of forward, backward and update with bf16 autocast: fused AdamW, cross entropy over the full vocabulary.

    Attributes:
        size: the named size trained, with random weights on random tokens.
        step: one step over `batch` sequences of `seq_len` tokens.
        batch: sequences in a step.
        seq_len: tokens in a sequence.
        tokens_per_s: from the median step.
        matmul_bf16_gflops: best rate of a 2048 x 2048 x 2048 product, in 10^9 operations a second.
        matmul_fp32_gflops: the same in fp32.
        mfu: model FLOPs utilisation, 6 x parameters x tokens/s (attention's own products not counted) over
            `matmul_bf16_gflops`.
    """

    size: str
    step: Timing
    batch: int
    seq_len: int
    tokens_per_s: float
    matmul_bf16_gflops: float
    matmul_fp32_gflops: float
    mfu: float


def measure_training(runs: int) -> TrainingSpeed:
    """Time `runs` training steps on the CPU.

    Raises:
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
        import torch.nn.functional as F
    except ModuleNotFoundError:
        raise MissingExtraError("torch", "train") from None
    from keyboard_lm.model import OpenELM

    config = model_size(SIZE)
    generator = torch.Generator().manual_seed(0)
    model = OpenELM(config)
    model.init_weights(generator)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(config.vocab_size, (BATCH, SEQ_LEN + 1), generator=generator)  # (B, T + 1)

    def train_step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(ids[:, :-1])  # (B, T, V)
            loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    step = time_calls(train_step, runs)
    rates = {}
    for dtype in (torch.bfloat16, torch.float32):
        a, b = (torch.randn(_MATRIX, _MATRIX, generator=generator).to(dtype) for _ in range(2))
        product = time_calls(partial(torch.matmul, a, b), 10)
        rates[dtype] = 2 * _MATRIX**3 / product.best_ms / 1e6
    tokens_per_s = BATCH * SEQ_LEN / step.median_ms * 1000
    mfu = 6 * config.num_parameters * tokens_per_s / (rates[torch.bfloat16] * 1e9)
    return TrainingSpeed(SIZE, step, BATCH, SEQ_LEN, tokens_per_s, rates[torch.bfloat16], rates[torch.float32], mfu)
