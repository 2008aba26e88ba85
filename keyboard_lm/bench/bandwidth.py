"""How fast this machine reads memory, as far as numpy can tell.

The probe is `max` over 64-bit integers, which numpy does with vector loads and one comparison each, so that it waits
for memory and not for arithmetic; it is a lower bound of what the hardware does. Buffers that fit a cache are read from
that cache, as a small model's weights are.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

DRAM_BYTES = 256_000_000  # beyond any last-level cache of a desktop
_SECONDS_PER_PROBE = 0.05
_PROBES = 5


@dataclass(frozen=True)
class Bandwidth:
    """Reading speed of one buffer by a number of threads.

    Attributes:
        num_bytes: size of the buffer.
        num_threads: threads, each reading its own part again and again.
        gb_per_s: the best of several probes, in 10^9 bytes a second.
    """

    num_bytes: int
    num_threads: int
    gb_per_s: float


def measure_bandwidth(num_bytes: int, num_threads: int) -> Bandwidth:
    """Read a buffer of `num_bytes` over and over with `num_threads` threads."""
    parts = [np.ones(num_bytes // 8 // num_threads, np.int64) for _ in range(num_threads)]

    def read(part: np.ndarray, rounds: int) -> None:
        for _ in range(rounds):
            part.max()  # releases the interpreter lock

    with ThreadPoolExecutor(num_threads) as pool:

        def probe(rounds: int) -> float:
            start = time.perf_counter()
            list(pool.map(read, parts, [rounds] * num_threads))
            return time.perf_counter() - start

        rounds = max(1, round(_SECONDS_PER_PROBE / min(probe(1) for _ in range(3))))
        best = min(probe(rounds) for _ in range(_PROBES))
    return Bandwidth(num_bytes, num_threads, sum(part.nbytes for part in parts) * rounds / best / 1e9)
