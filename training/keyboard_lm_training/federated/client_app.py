"""Flower's client app: what runs on a device, a writer's dialogue standing for its text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from keyboard_lm.errors import ConfigError
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm_training.federated.devices import name_reply, seated_partition
from keyboard_lm_training.federated.local_training import AdaptedNetwork
from keyboard_lm_training.federated.messages import change_content, read_round
from keyboard_lm_training.federated.options import FederatedConfig, Site
from keyboard_lm_training.federated.secure_exchange import answer_stage, is_secure_stage
from keyboard_lm_training.federated.writers import load_writers, token_windows


class Device:
    """One writer's device.

    Args:
        site: where the model lies, and the texts of which one is this writer's.
        config: see `FederatedConfig`.
        partition: the number of that text.

    Raises:
        ConfigError: there is no such text.
    """

    def __init__(self, site: Site, config: FederatedConfig, partition: int) -> None:
        writers = load_writers(site.writers)
        if not 0 <= partition < len(writers):
            raise ConfigError(
                f"device {partition} has no text: {', '.join(site.writers)} hold {len(writers)} dialogues; start that "
                "many devices, numbered from 0"
            )
        self._network, tokenizer = _network_of(site.model, config)
        self._windows = token_windows(tokenizer, writers[partition], config.seq_len, config.max_tokens)

    def change(self, vector: NDArray[np.float32], clip_norm: float) -> NDArray[np.float32]:
        """Return the clipped change that this writer's text makes to the adapters (P,)."""
        return self._network.update(vector, self._windows, clip_norm).change


def _partition(context: Context) -> int:
    if "partition-id" not in context.node_config:
        raise ConfigError("the device has no number; start its SuperNode with --node-config 'partition-id=0'")
    return int(context.node_config["partition-id"])


@lru_cache(maxsize=2)
def _network_of(model: str, config: FederatedConfig) -> tuple[AdaptedNetwork, Tokenizer]:
    # One for all the devices that a process stands for; each begins by putting the server's adapters in.
    checkpoint = Checkpoint.load(Path(model))
    return AdaptedNetwork(checkpoint, config), checkpoint.tokenizer


def client_app(defaults: Mapping[str, Any] | None = None) -> ClientApp:
    """Return the app.

    Args:
        defaults: the run's options, for ways of running that give a client none (Flower's simulation from Python).
    """

    def train(message: Message, context: Context) -> Message:
        run_config = {**(defaults or {}), **context.run_config}
        seated = seated_partition(message)
        device = Device(
            Site.from_run_config(run_config),
            FederatedConfig.from_run_config(run_config),
            _partition(context) if seated is None else seated,
        )
        if is_secure_stage(message):
            return answer_stage(message, context, device.change)
        vector, clip_norm = read_round(message.content)
        return Message(change_content(device.change(vector, clip_norm)), reply_to=message)

    def name(message: Message, context: Context) -> Message:
        return name_reply(message, _partition(context))

    flower_app = ClientApp()
    flower_app.train()(train)
    flower_app.query()(name)
    return flower_app


app = client_app()
