"""Changes summed by Flower's SecAgg+: the server sees masked vectors, and the masks cancel in the sum, also where a
device has dropped out (Bell et al. 2020, "Secure single-server aggregation with (poly)logarithmic overhead").

Flower has the protocol for its older strategies only. What is of that world stays in this file: a strategy that names
the devices and catches the sum. Weights are 1, so that a sum of n changes is n times the mean that Flower returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, ConfigRecord, FitIns, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS
from flwr.compat.common import recorddict_compat as compat
from flwr.server import LegacyContext, SimpleClientManager
from flwr.server.client_proxy import ClientProxy
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
from numpy.typing import NDArray

from keyboard_lm_training.federated.devices import Devices
from keyboard_lm_training.federated.exchange import RoundSum

QUANTIZATION_STEPS = 1 << 22
_MODULUS = 1 << 32
_CLIP = "clip-norm"
_MAX_SHARES = 51  # neighbours a device shares its keys with, itself included; every device with all others is quadratic

ClientCall = Callable[[NDArray[np.float32], float], NDArray[np.float32]]


def quantization_step(clip_norm: float) -> float:
    """Return the distance of two values that a change can take on its way."""
    return 2 * clip_norm / QUANTIZATION_STEPS


class SecureExchange:
    """The server sees the sum alone.

    Args:
        devices: of the run.
        reply_seconds: how long each of the protocol's four stages waits.
    """

    def __init__(self, devices: Devices, reply_seconds: float) -> None:
        self._devices, self._reply_seconds = devices, reply_seconds

    def writers(self) -> list[int]:
        return self._devices.writers()

    def sum_changes(
        self, round_number: int, writers: Sequence[int], vector: NDArray[np.float32], clip_norm: float
    ) -> RoundSum:
        node_ids = self._devices.nodes_of(writers)
        shares = min(_MAX_SHARES, len(node_ids))
        workflow = SecAggPlusWorkflow(
            shares, shares // 2 + 1, max_weight=1.0, clipping_range=clip_norm,
            quantization_range=QUANTIZATION_STEPS, modulus_range=_MODULUS, timeout=self._reply_seconds,
        )  # fmt: skip
        # Rounding moves each value by up to a step, which must not carry a change over the norm the noise is made for.
        device_norm = clip_norm - quantization_step(clip_norm) * len(vector) ** 0.5
        strategy = _Sum(node_ids, vector, device_norm)
        state = RecordDict(
            {
                MAIN_CONFIGS_RECORD: ConfigRecord({Key.CURRENT_ROUND: round_number}),
                MAIN_PARAMS_RECORD: compat.parameters_to_arrayrecord(ndarrays_to_parameters([vector]), True),
            }
        )
        context = LegacyContext(Context(0, 0, {}, state, {}), strategy=strategy, client_manager=SimpleClientManager())
        workflow(self._devices.grid, context)
        if strategy.mean is None:
            return RoundSum(np.zeros(len(vector)), 0, ("too few devices stayed for their masks to be taken off",))
        missing = len(writers) - strategy.num_replies
        return RoundSum(strategy.mean * strategy.num_replies, strategy.num_replies, ("dropped out",) * missing)


class _Node(ClientProxy):
    # Flower's older strategies name devices by such an object; the workflow reads its number only.
    def __init__(self, node_id: int) -> None:
        super().__init__(str(node_id))
        self.node_id = node_id

    def _unused(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a device is asked through the grid, not through its proxy")

    get_properties = get_parameters = fit = evaluate = reconnect = _unused


class _Sum(FedAvg):
    """Names the devices of one round and keeps what the workflow makes of their answers."""

    def __init__(self, node_ids: Sequence[int], vector: NDArray[np.float32], device_norm: float) -> None:
        super().__init__()
        self._asked = [_Node(node_id) for node_id in node_ids]
        self._sent = FitIns(ndarrays_to_parameters([vector]), {_CLIP: device_norm})
        self.mean: NDArray[np.float64] | None = None
        self.num_replies = 0

    def configure_fit(self, server_round: int, parameters: Any, client_manager: Any) -> list[tuple[_Node, FitIns]]:
        return [(node, self._sent) for node in self._asked]

    def aggregate_fit(
        self, server_round: int, results: list[tuple[Any, FitRes]], failures: list[Any]
    ) -> tuple[None, dict[str, Any]]:
        self.num_replies = len(results)
        if results:  # every one of them carries the mean
            (self.mean,) = parameters_to_ndarrays(results[0][1].parameters)
        return None, {}


def is_secure_stage(message: Message) -> bool:
    """Return whether a device has been sent a stage of the protocol."""
    return RECORD_KEY_CONFIGS in message.content.config_records


def answer_stage(message: Message, context: Context, change: ClientCall) -> Message:
    """Take part in one stage of the protocol; the third asks for the change.

    Args:
        message: from the server.
        context: keeps the device's keys from stage to stage.
        change: returns the change to a vector, of at most a norm.
    """

    def fit(inner: Message, _: Context) -> Message:
        sent = compat.recorddict_to_fitins(inner.content, keep_input=True)
        (vector,) = parameters_to_ndarrays(sent.parameters)
        found = change(vector, float(sent.config[_CLIP]))
        answer = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([found]), 1, {})
        return Message(compat.fitres_to_recorddict(answer, keep_input=True), reply_to=inner)

    answered: Message = secaggplus_mod(message, context, fit)
    return answered
