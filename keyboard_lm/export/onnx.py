"""From a checkpoint's weights to a checked runtime graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.backends import onnx_format as names
from keyboard_lm.backends.onnx import OnnxBackend
from keyboard_lm.backends.protocol import ROOT, tree_depths, tree_visibility
from keyboard_lm.errors import CheckpointError, ConfigError
from keyboard_lm.export.inputs import InputMoments, sample_inputs
from keyboard_lm.export.onnx_graph import Matrix, build_graph
from keyboard_lm.network.checkpoint import Checkpoint, Weights
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.reference import reference_logits
from keyboard_lm.quantize.blockwise import BlockQuantized, quantize
from keyboard_lm.quantize.compensate import compensated_blocks

DEFAULT_BLOCK_SIZE = 32
_MAX_BYTES = 2_000_000_000  # protobuf stops at 2 GiB

# How far the logits of one place may lie from numpy's over the same (dequantized) weights: root mean square over the
# vocabulary, as a share of their standard deviation. Float rounding; or the runtime's int8 activations, typically .02
# and up to .12 where a random network amplifies them.
_FLOAT_TOLERANCE = 1e-3
_INT8_TOLERANCE = 0.2

# Ordinary text for the check: a network's logits on noise say little about its rounding.
_SAMPLE = ("hey are you coming to the party tonight?", "I was going to call you but my phone died", "see you tomorrow")
_SAMPLE_TREE = (ROOT, ROOT, 0, 0, 1, 4, 2)


@dataclass(frozen=True)
class ExportReport:
    """What one export wrote, and how far its answers are from those of the fp32 weights.

    Attributes:
        bits: bits per weight.
        block_size: weights that share a scale; 0 where there is none (16 and 32 bits).
        num_bytes: size of the graph file.
        error: how far the logits of the worst place lie from numpy's over the graph's own weights (root mean square,
            as a share of their standard deviation).
        max_abs_change: largest difference of a logit from the fp32 network's.
        mean_kl_nats: mean divergence of the graph's next-token distribution from the fp32 network's.
        top1_agreement: share of places where both put the same token first.
        num_positions: places that these were taken over.
    """

    bits: int
    block_size: int
    num_bytes: int
    error: float
    max_abs_change: float
    mean_kl_nats: float
    top1_agreement: float
    num_positions: int


def export_graph(
    checkpoint: Checkpoint, bits: int = 4, block_size: int = DEFAULT_BLOCK_SIZE
) -> tuple[bytes, ExportReport]:
    """Build a checkpoint's graph and check it step by step against the weights it holds.

    Args:
        checkpoint: where the weights are.
        bits: 4 or 8 (blocks of integers, int8 activations), 16 or 32 (computed in fp32).
        block_size: weights that share a scale, at 4 and 8 bits.

    Returns:
        The graph file's content, and how it compares.

    Raises:
        CheckpointError: the weights are missing or do not fit, or the graph would be too large for one file, or does
            not compute what it should.
        ConfigError: ONNX Runtime has no attention for heads of this width.
        MissingExtraError: onnx or safetensors is not installed.
    """
    width = checkpoint.config.head_dim
    if width % names.HEAD_MULTIPLE:
        raise ConfigError(
            f"{checkpoint.folder}: heads of width {width} are no multiple of {names.HEAD_MULTIPLE}, which ONNX "
            "Runtime's attention needs; run this model with --backend torch, or mlx"
        )
    weights = checkpoint.weights()
    stored = store_weights(weights, bits, block_size, inputs_for(checkpoint, weights, bits))
    metadata = {
        names.META_FORMAT: str(names.GRAPH_FORMAT),
        names.META_CHECKPOINT: checkpoint.digest,
        names.META_TOKENIZER: checkpoint.tokenizer.digest,
        names.META_BITS: str(bits),
        names.META_BLOCK_SIZE: str(block_size if bits < 16 else 0),
    }
    if sum(_num_bytes(matrix) for matrix in stored.values()) > _MAX_BYTES:
        raise CheckpointError(f"{checkpoint.folder}: too large for one ONNX file at {bits} bits; use fewer")
    graph = build_graph(checkpoint.config, stored, metadata)
    backend = OnnxBackend(graph, checkpoint.config, num_threads=1)  # a check need not hurry, and may share the machine
    ids = sample_ids(checkpoint)
    got = stepwise_logits(backend, ids)  # (P, V)
    own = _expected_logits(checkpoint.config, effective_weights(stored), ids)  # (P, V)
    error = _relative_error(got, own)
    if not error <= (_INT8_TOLERANCE if bits < 16 else _FLOAT_TOLERANCE):
        raise CheckpointError(
            f"{checkpoint.folder}: the {bits}-bit graph computes something else than its weights (error {error:.3g}); "
            "nothing was written, try another onnxruntime version and report this"
        )
    full = _expected_logits(checkpoint.config, _as_fp32(weights), ids)  # (P, V)
    return graph, ExportReport(
        bits,
        block_size if bits < 16 else 0,
        len(graph),
        error,
        float(np.abs(got - full).max()),
        float(_kl_nats(full, got).mean()),
        float((got.argmax(1) == full.argmax(1)).mean()),
        len(got),
    )


def store_weights(
    weights: Weights, bits: int, block_size: int = DEFAULT_BLOCK_SIZE, inputs: InputMoments | None = None
) -> dict[str, Matrix]:
    """Return the weights as a graph of `bits` stores them; vectors (norms) stay fp32.

    Args:
        weights: by name.
        bits: 4, 8, 16 or 32.
        block_size: weights that share a scale, at 4 and 8 bits.
        inputs: of the matrices; without them, each weight gets the nearest level.
    """
    if bits < 16:
        return {
            name: _blocks(name, weight, bits, block_size, inputs) if weight.ndim == 2 else weight.astype(np.float32)
            for name, weight in weights.items()
        }
    dtype = np.float16 if bits == 16 else np.float32
    return {n: w.astype(dtype if w.ndim == 2 else np.float32) for n, w in weights.items()}


def inputs_for(checkpoint: Checkpoint, weights: Weights, bits: int) -> InputMoments | None:
    """Return what the codes of a graph are chosen by, None where the nearest ones are best.

    That is so at 8 bits, which lose nothing that can be measured, and for a network that `tune` has used to these
    blocks: it learned with the nearest codes.
    """
    objective = checkpoint.record().get("objective") or {}
    is_used_to = objective.get("name") == "tune" and objective.get("scheme") in ("both", "blocks")
    return None if bits != 4 or is_used_to else sample_inputs(checkpoint.config, weights, checkpoint.tokenizer.bos_id)


def _blocks(name: str, weight: NDArray[Any], bits: int, block_size: int, inputs: InputMoments | None) -> BlockQuantized:
    if inputs is None:
        return quantize(weight, bits, block_size)
    return compensated_blocks(weight, bits, block_size, inputs.moments[name], inputs.num_tokens)


def effective_weights(stored: Mapping[str, Matrix]) -> dict[str, NDArray[np.float32]]:
    """Return the fp32 weights that a graph's stored ones stand for."""
    return {
        name: matrix.dequantized() if isinstance(matrix, BlockQuantized) else matrix.astype(np.float32)
        for name, matrix in stored.items()
    }


def _num_bytes(matrix: Matrix) -> int:
    return matrix.num_bytes if isinstance(matrix, BlockQuantized) else int(matrix.nbytes)


def sample_ids(checkpoint: Checkpoint) -> list[int]:
    """Return the tokens of a short conversation, cut to what leaves room for the tree in the context."""
    tokenizer = checkpoint.tokenizer
    ids = [tokenizer.bos_id, *(i for message in _SAMPLE for i in tokenizer.encode_message(message))]
    return ids[: checkpoint.config.max_context_length - len(_SAMPLE_TREE)]


def stepwise_logits(backend: OnnxBackend, ids: list[int]) -> NDArray[np.float32]:
    """Return logits after each of `ids`, then of a tree behind them, the way a keyboard asks: (P, V).

    The first half is one prefill, whose last logits count; the rest is decoded by ones and threes with a rewind in
    between.
    """
    half = len(ids) // 2
    rows = [backend.prefill(ids[:half])]
    while backend.length < len(ids):
        start = backend.length
        backend.decode(ids[start : start + 3])
        backend.rewind(start)
        rows.append(backend.decode([ids[start]]))
    return np.concatenate((np.stack(rows), backend.score_tree(_tree_tokens(ids), _SAMPLE_TREE)))


def _tree_tokens(ids: list[int]) -> list[int]:
    return [ids[i % len(ids)] for i in range(1, len(_SAMPLE_TREE) + 1)]


def _expected_logits(config: ModelConfig, weights: Mapping[str, NDArray[Any]], ids: list[int]) -> NDArray[Any]:
    # What `stepwise_logits` should return, from one pass of the reference over the text and the tree.
    length, num_nodes = len(ids), len(_SAMPLE_TREE)
    visible = np.tri(length + num_nodes, dtype=np.bool_)  # (T, T)
    visible[length:, length:] = tree_visibility(_SAMPLE_TREE)
    positions = [*range(length), *(length + depth for depth in tree_depths(_SAMPLE_TREE))]
    logits = reference_logits(config, weights, ids + _tree_tokens(ids), positions, visible)  # (T, V)
    return logits[length // 2 - 1 :]


def _as_fp32(weights: Weights) -> dict[str, NDArray[np.float32]]:
    return {name: values.astype(np.float32) for name, values in weights.items()}


def _relative_error(got: NDArray[Any], expected: NDArray[Any]) -> float:
    rms = np.sqrt(np.square(got - expected).mean(-1))  # (P,)
    return float((rms / expected.std(-1)).max())


def _kl_nats(full: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    p, q = _log_softmax(full.astype(np.float64)), _log_softmax(other.astype(np.float64))  # (P, V)
    divergence: NDArray[Any] = (np.exp(p) * (p - q)).sum(-1)  # (P,)
    return divergence


def _log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    shifted = logits - logits.max(-1, keepdims=True)
    result: NDArray[Any] = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result
