"""Which writers Flower's nodes stand for.

A node's number is Flower's, and Flower draws it anew whenever a simulation starts or a SuperNode connects again. The
ledger must not forget by that who has been asked: here a writer keeps its number, whatever node speaks for it, and the
three ways of running number alike.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from keyboard_lm.errors import TrainingError

FIRST_WRITER = 2  # so the in-process grid has always numbered its nodes, and ledgers know them
_WRITER, _PARTITION = "writer", "partition-id"
_NAMING_SECONDS = 20.0
_POLL_SECONDS = 0.05

_logger = logging.getLogger(__name__)


class Devices(Protocol):
    """The devices of a run.

    Attributes:
        grid: what their messages go through.
    """

    grid: Grid

    def writers(self) -> list[int]:
        """Return the numbers of the writers that can be asked now."""

    def nodes_of(self, writers: Sequence[int]) -> list[int]:
        """Return the node that speaks for each of some writers, until the next call."""


class OwnDevices:
    """Nodes whose numbers are their writers': those of the in-process grid.

    Args:
        grid: Flower's.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def writers(self) -> list[int]:
        return sorted(self.grid.get_node_ids())

    def nodes_of(self, writers: Sequence[int]) -> list[int]:
        return list(writers)


class SeatedDevices:
    """Few nodes, on which the writers of a round take seats: for Flower's simulation.

    A node for each writer would cost more than the training: for each node Flower 1.42 looks through all messages that
    are on their way, ten times a second.

    Args:
        grid: Flower's.
        population: writers.
        num_seats: nodes there will be.
        is_over: says that the nodes are gone, and nothing is to be waited for.
    """

    def __init__(
        self, grid: Grid, population: int, num_seats: int, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self._inner, self._population, self._num_seats, self._is_over = grid, population, num_seats, is_over
        self._writer_of: dict[int, int] = {}
        self.grid: Grid = _SeatedGrid(grid, self._writer_of, is_over)

    def writers(self) -> list[int]:
        """Return the writers.

        Raises:
            TrainingError: the nodes are gone.
        """
        _refuse_if(self._is_over)
        if len(list(self._inner.get_node_ids())) < self._num_seats:  # Flower is still making them
            return []
        return list(range(FIRST_WRITER, FIRST_WRITER + self._population))

    def nodes_of(self, writers: Sequence[int]) -> list[int]:
        nodes = sorted(self._inner.get_node_ids())[: len(writers)]
        self._writer_of.clear()
        self._writer_of.update(zip(nodes, writers, strict=True))
        return nodes


class NamedDevices:
    """Nodes that are asked once for which text they stand: SuperNodes, started with a `partition-id`.

    Args:
        grid: Flower's.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._writer_of: dict[int, int] = {}

    def writers(self) -> list[int]:
        present = set(self.grid.get_node_ids())
        unknown = sorted(present - self._writer_of.keys())
        questions = [Message(RecordDict(), node, MessageType.QUERY) for node in unknown]
        for answer in self.grid.send_and_receive(questions, timeout=_NAMING_SECONDS) if questions else ():
            if answer.has_error():
                _logger.warning("device %d: %s", answer.metadata.src_node_id, answer.error.reason)
            else:
                partition = answer.content.config_records[_WRITER][_PARTITION]
                self._writer_of[answer.metadata.src_node_id] = FIRST_WRITER + int(partition)
        return sorted({writer for node, writer in self._writer_of.items() if node in present})

    def nodes_of(self, writers: Sequence[int]) -> list[int]:
        present = set(self.grid.get_node_ids())
        # Of two nodes that name one text, the later is the device that has started again.
        node_of = {writer: node for node, writer in self._writer_of.items() if node in present}
        return [node_of[writer] for writer in writers if writer in node_of]


def name_reply(message: Message, partition: int) -> Message:
    """Return a device's answer to who it is."""
    return Message(RecordDict({_WRITER: ConfigRecord({_PARTITION: partition})}), reply_to=message)


def seated_partition(message: Message) -> int | None:
    """Return which text a message is for, where that changes from message to message."""
    record = message.content.config_records.get(_WRITER)
    return None if record is None else int(record[_PARTITION])


def _refuse_if(is_over: Callable[[], bool]) -> None:
    if is_over():
        raise TrainingError("Flower's simulation ended before its server; see its error")


class _SeatedGrid(Grid):
    """A grid that writes on each message which writer it is for."""

    def __init__(self, inner: Grid, writer_of: dict[int, int], is_over: Callable[[], bool]) -> None:
        self._inner, self._writer_of, self._is_over = inner, writer_of, is_over

    def set_run(self, run: Run) -> None:
        self._inner.set_run(run)

    @property
    def run(self) -> Run:
        return self._inner.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return self._inner.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        ids: Iterable[int] = self._inner.get_node_ids()
        return ids

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        stamped = list(messages)
        for message in stamped:
            partition = self._writer_of[message.metadata.dst_node_id] - FIRST_WRITER
            message.content[_WRITER] = ConfigRecord({_PARTITION: partition})
        sent: Iterable[str] = self._inner.push_messages(stamped)
        return sent

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        replies: Iterable[Message] = self._inner.pull_messages(message_ids)
        return replies

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        waiting = set(self.push_messages(messages))
        until = None if timeout is None else time.monotonic() + timeout
        replies: list[Message] = []
        while waiting and (until is None or time.monotonic() < until):
            _refuse_if(self._is_over)
            found = list(self.pull_messages(waiting))
            replies += found
            waiting -= {reply.metadata.reply_to_message_id for reply in found}
            if waiting:
                time.sleep(_POLL_SECONDS)
        return replies
