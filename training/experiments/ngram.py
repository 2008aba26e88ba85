"""What a pruned n-gram of pieces adds to a network, in held-out bits per byte, at several sizes.

    python training/experiments/ngram.py CHECKPOINT data/keyboard

Counts every 1- to 4-gram of the training shards, keeps those seen often enough, interpolates the orders by absolute
discounting (Chen & Goodman 1999, section 2.4) and the result with the network, by a weight for each order and count of
the longest context found. The weights are fitted on one half of the held-out windows and measured on the other.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.distill import load_checkpoint
from keyboard_lm_training.teach.networks import load_network
from numpy.typing import NDArray

ORDER = 4
BITS = 13  # of an id; four of them fit a 64-bit key
DISCOUNT = 0.75
BYTES_PER_NGRAM = 4  # a piece, a quantised probability, and its share of the pointers of a trie
WINDOW = 128
_COUNTS = (1, 3, 10, 100)  # bounds of the context counts that have a weight of their own

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """All n-grams of one length that are kept.

    Attributes:
        keys: sorted, the ids packed with the first one highest.
        shares: discounted count over the count of the context.
        contexts: sorted keys of all contexts seen, pruned n-grams' included.
        context_counts: how often each was seen.
        rests: probability that each leaves to the shorter order.
    """

    keys: Keys
    shares: Floats
    contexts: Keys
    context_counts: Floats
    rests: Floats


def packed(tokens: NDArray[np.uint16], length: int) -> Keys:
    """Return the key of the n-gram that starts at each position."""
    count = len(tokens) - length + 1
    keys = np.zeros(max(count, 0), np.uint64)
    for offset in range(length):
        keys = (keys << np.uint64(BITS)) | tokens[offset : offset + len(keys)].astype(np.uint64)
    return keys


def counted(tokens: NDArray[np.uint16], length: int, min_count: int) -> Order:
    """Count the n-grams of one length and keep those seen at least `min_count` times."""
    keys, counts = np.unique(packed(tokens, length), return_counts=True)
    contexts, starts = np.unique(keys >> np.uint64(BITS), return_index=True)
    context_counts = np.add.reduceat(counts, starts).astype(float)
    is_kept = counts >= min_count
    rows = np.searchsorted(contexts, keys[is_kept] >> np.uint64(BITS))
    shares = (counts[is_kept] - DISCOUNT) / context_counts[rows]
    rests = 1 - np.bincount(rows, shares, len(contexts))
    used = np.bincount(rows, minlength=len(contexts)) > 0
    return Order(keys[is_kept], shares, contexts[used], context_counts[used], rests[used])


def looked_up(keys: Keys, wanted: Keys, values: Floats, missing: float) -> Floats:
    """Return the value of each wanted key."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], missing)


def ngram_probabilities(
    orders: list[Order], unigram: Floats, windows: NDArray[np.uint16]
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the probability of each target of windows (B, T + 1), and the bucket of its longest known context."""
    targets = windows[:, 1:]
    probability = unigram[targets]  # (B, T)
    bucket = np.zeros(targets.shape, np.int64)
    for number, order in enumerate(orders):
        length = number + 2
        keys = np.stack([packed(row, length) for row in windows])  # (B, T + 2 - n)
        at = slice(length - 2, None)  # targets that have so long a context in their window
        shares = looked_up(order.keys, keys.ravel(), order.shares, 0.0).reshape(keys.shape)
        context = (keys >> np.uint64(BITS)).ravel()
        rests = looked_up(order.contexts, context, order.rests, 1.0).reshape(keys.shape)
        seen = looked_up(order.contexts, context, order.context_counts, 0.0).reshape(keys.shape)
        probability[:, at] = shares + rests * probability[:, at]
        level = 1 + number * (len(_COUNTS) + 1) + np.digitize(seen, _COUNTS)
        bucket[:, at] = np.where(seen > 0, level, bucket[:, at])
    return probability, bucket


@torch.no_grad()
def network_probabilities(network: torch.nn.Module, windows: NDArray[np.uint16]) -> Floats:
    """Return the network's probability of each target of windows (B, T + 1)."""
    rows = []
    for batch in torch.from_numpy(windows.astype(np.int64)).split(32):
        log_p = F.log_softmax(network(batch[:, :-1]).float(), dim=-1)  # (B, T, V)
        rows.append(log_p.gather(-1, batch[:, 1:, None])[..., 0].exp())
    return torch.cat(rows).double().numpy()


def best_weight(network: Floats, ngram: Floats) -> float:
    """Return the weight of the n-gram that explains the targets best, by expectation maximisation."""
    weight = 0.1
    for _ in range(50):
        weight = float(np.mean(weight * ngram / (weight * ngram + (1 - weight) * network)))
    return weight


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--heldout-tokens", default=8192, show_default=True, help="Per source.")
def command(checkpoint: Path, data: Path, heldout_tokens: int) -> None:
    """Measure CHECKPOINT with n-grams of the corpus DATA."""
    corpus = TrainingData.load(data, WINDOW, 1)
    network = load_network(load_checkpoint(checkpoint), torch.device("cpu"))
    windows, bytes_per_token = [], []
    for shard in corpus.heldout:
        tokens = np.asarray(shard.tokens[:heldout_tokens])
        for start in range(0, len(tokens) - WINDOW, WINDOW):
            windows.append(tokens[start : start + WINDOW + 1])
            bytes_per_token.append(shard.bytes_per_token)
    rows = np.stack(windows)  # (B, T + 1)
    from_network = network_probabilities(network, rows)  # (B, T)
    is_fit = np.arange(len(rows)) % 2 == 0
    num_bytes = np.array(bytes_per_token)[~is_fit].sum() * WINDOW
    print(f"{len(rows)} windows of {WINDOW}; network alone {rate(from_network[~is_fit], num_bytes):.4f} bits per byte")
    shards = [np.asarray(s) for source in corpus.sampler._sources for s in source.shards]
    tokens = np.concatenate(shards)
    unigram = (np.bincount(tokens, minlength=corpus.tokenizer.vocab_size) + 0.5) / (len(tokens) + 4096)
    for minimums in ((100, 200, 300), (30, 60, 90), (10, 20, 30), (4, 8, 12), (2, 3, 4), (1, 1, 1)):
        started = time.monotonic()
        orders = [counted(tokens, length, low) for length, low in zip(range(2, ORDER + 1), minimums, strict=True)]
        num_ngrams = sum(len(order.keys) for order in orders)
        ngram, bucket = ngram_probabilities(orders, unigram, rows)
        mixed = from_network.copy()
        for value in np.unique(bucket):
            chosen = bucket == value
            fit = chosen & is_fit[:, None]
            weight = best_weight(from_network[fit], ngram[fit]) if fit.any() else 0.0
            mixed[chosen] = weight * ngram[chosen] + (1 - weight) * from_network[chosen]
        entry = {
            "min_counts": minimums,
            "ngrams": num_ngrams,
            "mb": round(num_ngrams * BYTES_PER_NGRAM / 1e6, 2),
            "ngram_alone": round(rate(ngram[~is_fit], num_bytes), 4),
            "mixed": round(rate(mixed[~is_fit], num_bytes), 4),
            "gain": round(rate(from_network[~is_fit], num_bytes) - rate(mixed[~is_fit], num_bytes), 4),
            "seconds": round(time.monotonic() - started, 1),
        }
        print(json.dumps(entry), flush=True)


def rate(probabilities: Floats, num_bytes: float) -> float:
    """Return bits per byte."""
    return float(-np.log(np.maximum(probabilities, 1e-12)).sum() / math.log(2) / num_bytes)


if __name__ == "__main__":
    command()
