"""Flower's grid without a network: every device is a call in this process.

Flower's own simulation wants Ray; two cores and a test do not (flower issue 3989 asks for the same).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from uuid import uuid4

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from keyboard_lm.errors import KeyboardLMError
from keyboard_lm_training.federated.devices import FIRST_WRITER

_RUN_ID, _SERVER_ID = 1, 1
_FAILED = 1  # Flower's code for a client app that raised


@dataclass(frozen=True)
class Delivery:
    """A message on its way to a device.

    Attributes:
        message: as the server sent it.
        partition: which device it goes to, from 0.
    """

    message: Message
    partition: int


class InProcessGrid(Grid):
    """Devices whose app is called where the server runs.

    Args:
        client_app: what each device runs.
        num_nodes: devices.
        run_config: the run's options, as Flower carries them.
        is_lost: says which messages never arrive: how a test lets a device drop out.
    """

    def __init__(
        self,
        client_app: ClientApp,
        num_nodes: int,
        run_config: Mapping[str, bool | int | float | str],
        is_lost: Callable[[Delivery], bool] = lambda delivery: False,
    ) -> None:
        self._client_app, self._num_nodes, self._run_config = client_app, num_nodes, dict(run_config)
        self._is_lost = is_lost
        self._run = Run.create_empty(_RUN_ID)
        self._contexts: dict[int, Context] = {}  # what a device keeps between messages; only those that were asked
        self._replies: dict[str, Message] = {}
        # Flower's `Message` reads who is speaking from here.
        TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = _RUN_ID, 1, _SERVER_ID

    def set_run(self, run: Run) -> None:
        self._run = run

    @property
    def run(self) -> Run:
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        return list(range(FIRST_WRITER, FIRST_WRITER + self._num_nodes))

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        sent = []
        for message in messages:
            number = str(uuid4())
            message.metadata.__dict__["_message_id"] = number  # as Flower's own grids do
            sent.append(number)
            partition = message.metadata.dst_node_id - FIRST_WRITER
            if not self._is_lost(Delivery(message, partition)):
                self._replies[number] = self._call(message, partition)
        return sent

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return [self._replies.pop(number) for number in message_ids if number in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        return self.pull_messages(self.push_messages(messages))

    def _call(self, message: Message, partition: int) -> Message:
        node_id = message.metadata.dst_node_id
        if node_id not in self._contexts:
            node_config = {"partition-id": partition, "num-partitions": self._num_nodes}
            self._contexts[node_id] = Context(_RUN_ID, node_id, node_config, RecordDict(), dict(self._run_config))
        context = self._contexts[node_id]
        try:
            # A network would hand each device bytes of its own; Flower's SecAgg+ takes entries out of what it is given.
            reply = self._client_app(deepcopy(message), context)
        except (KeyboardLMError, ValueError, RuntimeError, KeyError, TypeError) as error:
            reply = Message(Error(_FAILED, f"{type(error).__name__}: {error}"), reply_to=message)
        if not context.state:
            del self._contexts[node_id]  # of 24,000 devices, most are asked once
        return reply


def run_in_process(
    server_app: ServerApp, client_app: ClientApp, num_nodes: int, run_config: Mapping[str, bool | int | float | str]
) -> None:
    """Run a Flower app here, one device after the other."""
    grid = InProcessGrid(client_app, num_nodes, run_config)
    server_app(grid, Context(_RUN_ID, _SERVER_ID, {}, RecordDict(), dict(run_config)))
