"""Which device this process trains on, and how several processes share one network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from keyboard_lm.errors import KeyboardLMError, TrainingError
from keyboard_lm.network.model import OpenELM
from keyboard_lm_training.run.loss import linear_cross_entropy

DEFAULT_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True)
class Placement:
    """Where one process of a run stands.

    Attributes:
        device: what its tensors live on.
        rank: its number among `world_size` processes.
        world_size: processes of the run.
        timeout_seconds: how long one waits for the others.
    """

    device: torch.device
    rank: int = 0
    world_size: int = 1
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS

    @property
    def timeout(self) -> timedelta:
        """How long one process waits for the others, as torch wants it."""
        return timedelta(seconds=self.timeout_seconds)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a tensor over all processes."""
        if self.world_size > 1:
            dist.all_reduce(value)
            value = value / self.world_size
        return value

    def any(self, flag: bool) -> bool:
        """Return whether any process says yes; all of them have to ask."""
        if self.world_size > 1:
            votes = torch.tensor(float(flag), device=self.device)
            dist.all_reduce(votes)
            return bool(votes.item())
        return flag

    def wait(self) -> None:
        """Return once every process has come here."""
        if self.world_size > 1:
            dist.barrier()


@contextmanager
def placed(device: str | None = None, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> Iterator[Placement]:
    """Yield this process's place: alone, or one of those that `torchrun` started.

    With several processes, every error that leaves the block says which of them it met, and on which machine.

    Args:
        device: `cpu`, `cuda` or `mps`; by default CUDA, then Apple's GPU, then CPU.
        timeout_seconds: how long one process waits for the others, at the start and at every exchange.

    Raises:
        TrainingError: the device does not exist here, or another process is gone.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    name = device or ("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(name, False):
        usable = ", ".join(option for option, is_there in available.items() if is_there)
        raise TrainingError(f"no device {name!r} on this machine; use one of: {usable}")
    if world_size == 1:
        yield Placement(torch.device(name))
        return
    if name == "cuda":
        if local_rank >= torch.cuda.device_count():
            raise TrainingError(f"process {rank} has no GPU of its own; start {torch.cuda.device_count()} per machine")
        torch.cuda.set_device(local_rank)
    who = f"process {rank} of {world_size} on {socket.gethostname()}"
    is_initialised = False
    try:
        # Both: saves go through the CPU also where training does not.
        backend = "cpu:gloo,cuda:nccl" if name == "cuda" else "gloo"
        timeout = timedelta(seconds=timeout_seconds)
        store = _store_of_attempt(world_size, timeout)
        if store is None:
            dist.init_process_group(backend, timeout=timeout)
        else:
            dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=timeout)
        is_initialised = True
        here = torch.device(name, local_rank) if name == "cuda" else torch.device(name)
        yield Placement(here, rank, world_size, timeout_seconds)
        dist.barrier()  # the first process is still writing when the others are done
    except KeyboardLMError as error:
        raise TrainingError(f"{who}: {error}") from error
    except RuntimeError as error:  # what torch raises where a connection breaks or a wait ends
        if not _is_of_connection(error):
            raise
        raise TrainingError(
            f"{who}: {_first_line(error)}; another process has ended, or was not there within {timeout_seconds:g} s "
            "(--timeout-seconds). Run the same command again to go on from the last saved step, or let torchrun do it "
            "(--max-restarts)"
        ) from error
    finally:
        if is_initialised:
            dist.destroy_process_group()


def _store_of_attempt(world_size: int, timeout: timedelta) -> Any:
    # torchrun of torch 2.13 keeps its store when it starts processes again, and the new ones would wait at addresses of
    # the dead (findings/torchrun_restart_store.sh): what each attempt says there gets its number in front.
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    names: Any = dist  # its stubs do not export the stores
    return names.PrefixStore(f"attempt_{attempt}", names.TCPStore(address, port, world_size, False, timeout))


def _is_of_connection(error: RuntimeError) -> bool:
    # gloo throws bare RuntimeErrors; its source files or these words are in their text.
    text = str(error).lower()
    return isinstance(error, dist.DistError) or any(
        word in text for word in ("gloo", "nccl", "connection", "timed out", "timeout")
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


class LossModel(nn.Module):
    """The network and its loss as one module, so that DDP and FSDP see every use of the tied table.

    Args:
        model: the network.
        z_loss_weight: see `linear_cross_entropy`.
        dtype: precision of the head's matrix products.
        is_compiled: fuse the element-wise work of layers and loss with torch.compile (needs a C++ compiler).
    """

    def __init__(self, model: OpenELM, z_loss_weight: float, dtype: torch.dtype, is_compiled: bool = False) -> None:
        super().__init__()
        self.model = model
        self.is_compiled = is_compiled
        if is_compiled:
            _compile_layers(model)
        self.z_loss_weight = z_loss_weight
        self.dtype = dtype

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the plain NLL of windows (B, T + 1)."""
        hidden = self.model.hidden(windows[:, :-1]).flatten(0, 1)  # (B T, C)
        table = self.model.transformer.token_embeddings.weight
        targets = windows[:, 1:].flatten()  # (B T,)
        return linear_cross_entropy(hidden, table, targets, self.z_loss_weight, self.dtype, self.is_compiled)


def _compile_layers(model: OpenELM) -> None:
    # Layer-wise scaling makes each layer a shape of its own, and torch stops compiling after eight by default.
    dynamo: Any = torch._dynamo.config
    dynamo.recompile_limit = max(dynamo.recompile_limit, 4 * len(model.transformer.layers))
    for layer in model.transformer.layers:
        layer.compile()


def shared(module: LossModel, strategy: str, place: Placement) -> nn.Module:
    """Return the module as it runs in this placement: bare, copied (DDP) or sharded (FSDP2)."""
    if place.world_size == 1:
        return module
    if strategy == "ddp":
        devices = [place.device] if place.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=devices, gradient_as_bucket_view=True)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(place.device.type, (place.world_size,))
    for layer in module.model.transformer.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module
