"""Speed of the runtime's three calls, and how close a decode step comes to merely reading the weights."""

from __future__ import annotations

from dataclasses import dataclass

from keyboard_lm.backends import onnx_format as names
from keyboard_lm.backends.onnx import DEFAULT_THREADS, OnnxBackend, available_threads
from keyboard_lm.backends.protocol import ROOT
from keyboard_lm.bench.bandwidth import DRAM_BYTES, Bandwidth, measure_bandwidth
from keyboard_lm.bench.repeat import Timing, time_calls
from keyboard_lm.network.checkpoint import Checkpoint, weight_shapes
from keyboard_lm.network.config import ModelConfig

FIRST_LENGTH, LAST_LENGTH = 32, 64  # cache lengths that decode steps are timed at
PREFILL_TOKENS = 32
TREE_PARENTS = (ROOT, ROOT, ROOT, 0, 0, 1, 3, 3)  # eight nodes, four deep


@dataclass(frozen=True)
class DecodeSpeed:
    """What the runtime needs for one call.

    Attributes:
        num_parameters: of the network.
        bits: bits per weight in the graph.
        block_size: weights that share a scale.
        num_threads: threads used.
        decode: one token at cache lengths 32 to 63.
        tree: eight candidates in one call at length 32.
        prefill: 32 tokens.
        weight_bytes: weights and scales that one step reads.
        bandwidths: of this machine's memory; the first one is for a buffer of `weight_bytes` with `num_threads`.
        floor_ms: time to read `weight_bytes` at that bandwidth.
        floor_fraction: `floor_ms` over the median decode step; 1 would be a step that only reads.
    """

    num_parameters: int
    bits: int
    block_size: int
    num_threads: int
    decode: Timing
    tree: Timing
    prefill: Timing
    weight_bytes: int
    bandwidths: tuple[Bandwidth, ...]
    floor_ms: float
    floor_fraction: float


def measure_decode(checkpoint: Checkpoint, runs: int) -> DecodeSpeed:
    """Time the int4 graph of a checkpoint; each figure is a median over at least `runs` calls."""
    num_threads = available_threads(DEFAULT_THREADS)
    backend = OnnxBackend.load(checkpoint)
    vocab_size = checkpoint.config.vocab_size
    text = [(i * 7919 + 11) % vocab_size for i in range(LAST_LENGTH)]  # any tokens: the work does not depend on them
    tree = text[: len(TREE_PARENTS)]

    def step_back() -> None:
        if backend.length >= LAST_LENGTH:
            backend.rewind(FIRST_LENGTH)

    backend.prefill(text[:FIRST_LENGTH])
    decode = time_calls(lambda: backend.decode(text[:1]), runs * (LAST_LENGTH - FIRST_LENGTH), step_back)
    backend.rewind(FIRST_LENGTH)
    scored = time_calls(lambda: backend.score_tree(tree, TREE_PARENTS), runs)
    prefill = time_calls(lambda: backend.prefill(text[:PREFILL_TOKENS]), runs)
    bits, block_size = (int(backend.metadata[key]) for key in (names.META_BITS, names.META_BLOCK_SIZE))
    weight_bytes = step_bytes(checkpoint.config, bits, block_size)
    bandwidths = [measure_bandwidth(weight_bytes, num_threads)]
    bandwidths += [measure_bandwidth(DRAM_BYTES, threads) for threads in sorted({1, num_threads})]
    floor_ms = weight_bytes / bandwidths[0].gb_per_s / 1e6
    return DecodeSpeed(
        checkpoint.config.num_parameters, bits, block_size, num_threads, decode, scored, prefill,
        weight_bytes, tuple(bandwidths), floor_ms, floor_ms / decode.median_ms,
    )  # fmt: skip


def step_bytes(config: ModelConfig, bits: int, block_size: int) -> int:
    """Return the bytes of weights that one decode step reads from a graph of 4 or 8 bits, scales included.

    The tied table counts once: the head reads all of it, the embedding one row.
    """
    total = 0
    for shape in weight_shapes(config).values():
        if len(shape) == 1:
            total += 4 * shape[0]
        else:
            num_blocks = shape[0] * -(-shape[1] // block_size)
            total += num_blocks * (block_size * bits // 8 + 4)
    return total
