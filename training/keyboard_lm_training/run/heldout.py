"""Held-out bits per byte while training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from keyboard_lm_training.run.devices import LossModel
from keyboard_lm_training.run.windows import Shard


@dataclass(frozen=True)
class HeldoutShard:
    """Held-out tokens of one source.

    Attributes:
        source: its name.
        tokens: the shard.
        bytes_per_token: UTF-8 bytes of its text over its tokens.
    """

    source: str
    tokens: Shard
    bytes_per_token: float


def heldout_bits_per_byte(
    model: LossModel, shards: Sequence[HeldoutShard], seq_len: int, max_tokens: int
) -> dict[str, float]:
    """Return bits per byte of each source, and over all of them under ``all``.

    Every window starts where the one before it ended and knows nothing of it, so the figure is a little pessimistic.

    Args:
        model: the network and its loss, whole or sharded.
        shards: held-out text.
        seq_len: tokens per window.
        max_tokens: tokens taken from the front of each shard.
    """
    device = next(model.parameters()).device
    bits: dict[str, float] = {}
    num_bytes: dict[str, float] = {}
    was_training = model.training
    model.eval()
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=model.dtype == torch.bfloat16):
        for shard in shards:
            for batch in _batches(shard.tokens[:max_tokens], seq_len):
                windows = torch.from_numpy(batch).to(device)  # (B, T + 1)
                _, nll = model(windows)
                num_targets = windows.shape[0] * (windows.shape[1] - 1)
                bits[shard.source] = bits.get(shard.source, 0.0) + float(nll) * num_targets / math.log(2)
                num_bytes[shard.source] = num_bytes.get(shard.source, 0.0) + num_targets * shard.bytes_per_token
    model.train(was_training)
    rates = {source: bits[source] / num_bytes[source] for source in bits}
    if bits:
        rates["all"] = sum(bits.values()) / sum(num_bytes.values())
    return rates


def _batches(tokens: NDArray[np.uint16], seq_len: int, batch_size: int = 32) -> Iterator[NDArray[np.int64]]:
    count = (len(tokens) - 1) // seq_len
    if not count:
        if len(tokens) > 1:
            yield tokens.astype(np.int64)[None]
        return
    starts = np.arange(count) * seq_len
    for first in range(0, count, batch_size):
        rows = starts[first : first + batch_size, None] + np.arange(seq_len + 1)
        yield tokens[rows].astype(np.int64)  # (B, T + 1)
