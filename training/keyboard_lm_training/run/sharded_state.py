"""Weights and optimizer moments of a network as flat, whole tensors, however its processes share it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from keyboard_lm_training.run.devices import Placement

_WEIGHTS = "weights/"
_MOMENTS = "moments/"
_GATHER = StateDictOptions(full_state_dict=True, cpu_offload=True)


def whole_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return the network's weights by OpenELM's names, on the CPU; complete on the first process only.

    Every process has to call this.
    """
    gathered: dict[str, Any] = get_model_state_dict(module, options=_GATHER)
    return {name.removeprefix("model."): value for name, value in gathered.items()}


def put_weights(module: nn.Module, weights: Mapping[str, Tensor], place: Placement) -> None:
    """Give the network the weights that `whole_weights` names; those of the first process count, and all call this."""
    named: dict[str, Any] = {"model." + name: value for name, value in weights.items()}
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=place.world_size > 1)
    set_model_state_dict(module, named, options=options)


def whole_state(module: nn.Module, optimizers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Return weights and moments by flat name, on the CPU; complete on the first process only."""
    flat = {_WEIGHTS + name: value for name, value in whole_weights(module).items()}
    for number, optimizer in enumerate(optimizers):
        state: Any = get_optimizer_state_dict(module, optimizer, options=_GATHER).get("state", {})
        for parameter, moments in state.items():
            for moment, value in moments.items():
                flat[f"{_MOMENTS}{number}/{parameter}/{moment}"] = torch.as_tensor(value)
    return flat


def restore_state(module: nn.Module, optimizers: list[torch.optim.Optimizer], tensors: Mapping[str, Tensor]) -> None:
    """Put back what `whole_state` returned; every process needs the tensors and takes its share of them."""
    options = StateDictOptions(full_state_dict=True)
    weights: dict[str, Any] = {
        "model." + n.removeprefix(_WEIGHTS): t for n, t in tensors.items() if n.startswith(_WEIGHTS)
    }
    set_model_state_dict(module, weights, options=options)
    for number, optimizer in enumerate(optimizers):
        groups: Any = get_optimizer_state_dict(module, optimizer)["param_groups"]
        state: dict[str, Any] = {}
        prefix = f"{_MOMENTS}{number}/"
        for name, tensor in tensors.items():
            if name.startswith(prefix):
                parameter, moment = name.removeprefix(prefix).rsplit("/", 1)
                state.setdefault(parameter, {})[moment] = tensor
        values: dict[str, Any] = {"state": state, "param_groups": groups}
        set_optimizer_state_dict(module, optimizer, values, options=options)
