"""What server and devices say to each other, in Flower's records."""

from __future__ import annotations

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

_ADAPTERS, _VECTOR, _ROUND = "adapters", "vector", "round"


def round_content(vector: NDArray[np.float32], clip_norm: float) -> RecordDict:
    """Return what a device is sent: the adapters, and the norm its change must not pass."""
    return RecordDict({_ADAPTERS: _arrays(vector), _ROUND: ConfigRecord({"clip-norm": clip_norm})})


def read_round(content: RecordDict) -> tuple[NDArray[np.float32], float]:
    """Return adapters and norm out of what a device was sent."""
    return read_change(content), float(content.config_records[_ROUND]["clip-norm"])


def change_content(change: NDArray[np.float32]) -> RecordDict:
    """Return what a device answers: its clipped change, and nothing else."""
    return RecordDict({_ADAPTERS: _arrays(change)})


def read_change(content: RecordDict) -> NDArray[np.float32]:
    """Return the vector out of a device's answer."""
    vector: NDArray[np.float32] = content.array_records[_ADAPTERS][_VECTOR].numpy().astype(np.float32, copy=False)
    return vector


def _arrays(vector: NDArray[np.float32]) -> ArrayRecord:
    return ArrayRecord({_VECTOR: Array(vector)})
