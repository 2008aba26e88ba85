"""Several checkpoints that went on from one, averaged weight by weight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keyboard_lm.errors import CheckpointError
from keyboard_lm.network.checkpoint import Checkpoint, save_checkpoint

KEPT = ("training", "objective", "tokens", "train_seconds", "heldout_bits_per_byte")


def average_checkpoints(checkpoints: Sequence[Checkpoint], folder: Path) -> Checkpoint:
    """Write the plain mean of the checkpoints' weights, computed in fp32, as a checkpoint of its own.

    Runs that began at the same weights end in one basin of the loss, and their mean is better than any of them
    (Wortsman et al. 2022, "Model soups"); of runs that did not it is no model at all.

    Args:
        checkpoints: two or more, of one shape and one tokenizer.
        folder: what is written; an older one of the same name is replaced.

    Raises:
        CheckpointError: there are fewer than two, they differ in shape, tokenizer or beginning, or the folder cannot
            be written.
    """
    if len(checkpoints) < 2:
        raise CheckpointError(f"an average is of two checkpoints or more, not of {len(checkpoints)}")
    first, *others = checkpoints
    records = [checkpoint.record() for checkpoint in checkpoints]
    for other in others:
        if (other.config, other.tokenizer.digest) != (first.config, first.tokenizer.digest):
            raise CheckpointError(f"{other.folder} has another shape or tokenizer than {first.folder}; average others")
    begun = [(record.get("initial") or {}).get("digest") for record in records]
    if None in begun or len(set(begun)) > 1:
        raise CheckpointError("the checkpoints did not begin at the same weights (`--init`); their mean is no model")
    weights = {name: np.asarray(value, np.float32).copy() for name, value in first.weights().items()}
    for other in others:
        for name, value in other.weights().items():
            weights[name] += value
    kinds = {name: value.dtype for name, value in first.weights().items()}
    mean = {name: (value / len(checkpoints)).astype(kinds[name]) for name, value in weights.items()}
    return save_checkpoint(folder, first.config, first.tokenizer, mean, _record(checkpoints, records))


def _record(checkpoints: Sequence[Checkpoint], records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the runs share, once, and what each of them was."""
    shared = {
        name: value for name, value in records[0].items() if all(record.get(name) == value for record in records[1:])
    }
    runs = [
        {"digest": checkpoint.digest, **{name: record[name] for name in KEPT if name in record and name not in shared}}
        for checkpoint, record in zip(checkpoints, records, strict=True)
    ]
    tokens = sum(int(record.get("tokens", 0)) for record in records)
    return {**shared, "tokens": tokens, "average_of": runs}
