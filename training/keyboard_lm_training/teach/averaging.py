"""Several checkpoints that went on from one, averaged weight by weight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keyboard_lm.errors import CheckpointError
from keyboard_lm.network.checkpoint import Checkpoint, save_checkpoint

KEPT = ("corpus", "training", "objective", "tokens", "train_seconds", "heldout_bits_per_byte")


def average_checkpoints(
    checkpoints: Sequence[Checkpoint], folder: Path, shares: Sequence[float] | None = None
) -> Checkpoint:
    """Write the mean of the checkpoints' weights, computed in fp32, as a checkpoint of its own.

    Runs that began at the same weights end in one basin of the loss, and their mean is better than any of them
    (Wortsman et al. 2022, "Model soups"); of runs that did not it is no model at all.

    Args:
        checkpoints: two or more, of one shape and one tokenizer, which went on from one model or from one another.
        folder: what is written; an older one of the same name is replaced.
        shares: how much each counts, in any unit; alike by default.

    Raises:
        CheckpointError: there are fewer than two, they differ in shape, tokenizer or beginning, a share is not
            positive or there are not as many, or the folder cannot be written.
    """
    if len(checkpoints) < 2:
        raise CheckpointError(f"an average is of two checkpoints or more, not of {len(checkpoints)}")
    given = [1.0] * len(checkpoints) if shares is None else list(shares)
    if len(given) != len(checkpoints) or not all(math.isfinite(share) and share > 0 for share in given):
        raise CheckpointError(f"{len(checkpoints)} checkpoints take as many positive shares, not {given}")
    first, *others = checkpoints
    records = [checkpoint.record() for checkpoint in checkpoints]
    for other in others:
        if (other.config, other.tokenizer.digest) != (first.config, first.tokenizer.digest):
            raise CheckpointError(f"{other.folder} has another shape or tokenizer than {first.folder}; average others")
    if not _are_related(checkpoints, records):
        raise CheckpointError("the checkpoints did not begin at the same weights (`--init`); their mean is no model")
    mean = {name: np.zeros(value.shape, np.float32) for name, value in first.weights().items()}
    for checkpoint, share in zip(checkpoints, given, strict=True):
        for name, value in checkpoint.weights().items():
            mean[name] += np.asarray(value, np.float32) * np.float32(share / sum(given))
    kinds = {name: value.dtype for name, value in first.weights().items()}
    weights = {name: value.astype(kinds[name]) for name, value in mean.items()}
    return save_checkpoint(folder, first.config, first.tokenizer, weights, _record(checkpoints, records, given))


def _are_related(checkpoints: Sequence[Checkpoint], records: Sequence[dict[str, Any]]) -> bool:
    """Whether one is reached from any other by way of where they began."""
    family, *known = [
        {digest for digest in (checkpoint.digest, (record.get("initial") or {}).get("digest")) if digest}
        for checkpoint, record in zip(checkpoints, records, strict=True)
    ]
    while near := [digests for digests in known if digests & family]:
        known = [digests for digests in known if digests not in near]
        family.update(*near)
    return not known


def _record(
    checkpoints: Sequence[Checkpoint], records: Sequence[dict[str, Any]], shares: Sequence[float]
) -> dict[str, Any]:
    """What the runs have in common, once, and what each of them was."""
    shared = {
        name: value for name, value in records[0].items() if all(record.get(name) == value for record in records[1:])
    }
    runs = []
    for checkpoint, record, share in zip(checkpoints, records, shares, strict=True):
        run = {"digest": checkpoint.digest, "share": share / sum(shares)}
        if record.get("initial") and "initial" not in shared:
            run["initial_digest"] = record["initial"]["digest"]
        runs.append(run | {name: record[name] for name in KEPT if name in record and name not in shared})
    tokens = sum(int(record.get("tokens", 0)) for record in records)
    return {**shared, "tokens": tokens, "average_of": runs}
