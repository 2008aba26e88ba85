"""One round's traffic: the adapters out to the devices asked, the sum of their changes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from flwr.app import Message, MessageType
from numpy.typing import NDArray

from keyboard_lm_training.federated.devices import Devices
from keyboard_lm_training.federated.local_training import clipped
from keyboard_lm_training.federated.messages import read_change, round_content


@dataclass(frozen=True)
class RoundSum:
    """What a round brought.

    Attributes:
        total: sum of the clipped changes, (P,).
        num_replies: devices in it.
        failures: why others are not, in short.
    """

    total: NDArray[np.float64]
    num_replies: int
    failures: tuple[str, ...]


class Exchange(Protocol):
    """How changes reach the server: one by one, or summed behind masks."""

    def writers(self) -> list[int]:
        """Return the writers whose devices are there now."""

    def sum_changes(
        self, round_number: int, writers: Sequence[int], vector: NDArray[np.float32], clip_norm: float
    ) -> RoundSum:
        """Ask some writers' devices for their changes to a vector (P,), and return the sum of those that came."""


class PlainExchange:
    """The server sees every change.

    Args:
        devices: of the run.
        reply_seconds: how long a round waits.
    """

    def __init__(self, devices: Devices, reply_seconds: float) -> None:
        self._devices, self._reply_seconds = devices, reply_seconds

    def writers(self) -> list[int]:
        return self._devices.writers()

    def sum_changes(
        self, round_number: int, writers: Sequence[int], vector: NDArray[np.float32], clip_norm: float
    ) -> RoundSum:
        node_ids = self._devices.nodes_of(writers)
        messages = [
            Message(round_content(vector, clip_norm), node_id, MessageType.TRAIN, group_id=str(round_number))
            for node_id in node_ids
        ]
        total = np.zeros(len(vector))
        replies, failures = set(), []
        for reply in self._devices.grid.send_and_receive(messages, timeout=self._reply_seconds):
            node_id = reply.metadata.src_node_id
            if reply.has_error():
                failures.append(str(reply.error.reason).strip().splitlines()[-1] if reply.error.reason else "an error")
                continue
            change = read_change(reply.content)
            if change.shape != vector.shape:
                failures.append(f"a change of {change.shape} values instead of {vector.shape}")
            elif node_id in node_ids and node_id not in replies:
                replies.add(node_id)
                # Clipped again: the promise must not hang on every device being ours.
                total += clipped(change, clip_norm)[0]
        failures += ["no answer in time"] * (len(writers) - len(replies) - len(failures))
        return RoundSum(total, len(replies), tuple(failures))
