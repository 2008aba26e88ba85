"""Cases of the bundled network: logits of its fp32 weights in plain numpy, behind texts and for trees behind them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keyboard_lm.backends.protocol import ROOT, tree_depths, tree_visibility
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.reference import reference_logits

Case = dict[str, Any]
_NUM_CASES = 20
_MOST_TOKENS = 24  # of a text
_MOST_NODES = 6  # of a tree
_NUM_BEST, _NUM_FIXED = 16, 16  # pieces whose logits are given, at each place


def questions(checkpoint: Checkpoint, messages: Sequence[str]) -> Iterator[tuple[list[int], list[int], list[int]]]:
    """Yield the ids of texts, and trees behind them with their parents."""
    rng = random.Random(10)
    tokenizer, vocab_size = checkpoint.tokenizer, checkpoint.config.vocab_size
    for message in messages[:_NUM_CASES]:
        ids = [tokenizer.bos_id, *tokenizer.encode_message(message)][: rng.randint(1, _MOST_TOKENS)]
        tree = [rng.randrange(vocab_size) for _ in range(rng.randint(1, _MOST_NODES))]
        yield ids, tree, [rng.randint(ROOT, node - 1) for node in range(len(tree))]


def network(checkpoint: Checkpoint, messages: Sequence[str]) -> Iterator[Case]:
    """Yield ids and trees, with logits of the best and of some fixed pieces, and the logarithm of the sum."""
    config = checkpoint.config
    weights = {name: np.asarray(values, np.float32) for name, values in checkpoint.weights().items()}
    for ids, tree, parents in questions(checkpoint, messages):
        length, num_tokens = len(ids), len(ids) + len(tree)
        visible = np.tri(num_tokens, dtype=np.bool_)
        visible[length:, length:] = tree_visibility(parents)
        places = [*range(length), *(length + depth for depth in tree_depths(parents))]
        logits = reference_logits(config, weights, ids + tree, places, visible)[length - 1 :]  # (1 + N, V)
        yield {
            "ids": ids,
            "tree": tree,
            "parents": parents,
            "after": [{"best": _best(row), **said(row)} for row in logits],
        }


def _best(logits: np.ndarray) -> list[list[Any]]:
    best = sorted(np.argpartition(-logits, _NUM_BEST)[:_NUM_BEST].tolist())  # by id: near ties have no order
    return [[piece, float(logits[piece])] for piece in best]


def said(logits: np.ndarray) -> Case:
    """Return the logits of some fixed pieces, and the logarithm of the sum of all probabilities."""
    most = logits.max()
    return {
        "fixed": [float(logit) for logit in logits[:: len(logits) // _NUM_FIXED][:_NUM_FIXED]],
        "log_sum": float(most + np.log(np.exp((logits - most).astype(np.float64)).sum())),
    }
