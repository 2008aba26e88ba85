"""What one device does: train the adapters on its own text, and clip what changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.model import OpenELM
from keyboard_lm_training.federated.options import BOTH, FederatedConfig
from keyboard_lm_training.teach.adapters import AdaptedLinear, adapt, merge
from keyboard_lm_training.teach.networks import load_network


@dataclass(frozen=True)
class LocalUpdate:
    """What a device sends.

    Attributes:
        change: clipped difference of the adapters, (P,), fp32.
        norm: before clipping. Not to leave a device: only the simulation's log reads it.
        nats_per_token: loss while training. Not to leave a device either.
    """

    change: NDArray[np.float32]
    norm: float
    nats_per_token: float


class AdaptedNetwork:
    """A frozen network with adapters, whose learned values are one flat vector.

    Args:
        checkpoint: the network that every device has.
        config: see `FederatedConfig`.
    """

    def __init__(self, checkpoint: Checkpoint, config: FederatedConfig) -> None:
        self._checkpoint, self.config = checkpoint, config
        self.network: OpenELM = load_network(checkpoint, torch.device("cpu"))
        adapt(self.network, config.rank, config.seed)
        for module in self.network.modules():
            if isinstance(module, AdaptedLinear):
                module.down.requires_grad_(config.factors == BOTH)
        self._learned: list[Tensor] = [p for p in self.network.parameters() if p.requires_grad]
        self._dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        if self._dtype == torch.bfloat16:  # once: autocast would convert frozen matrices at every step
            for parameter in self.network.parameters():
                if not parameter.requires_grad and parameter.dim() == 2:
                    parameter.data = parameter.data.to(torch.bfloat16)
        self.size = sum(parameter.numel() for parameter in self._learned)

    def vector(self) -> NDArray[np.float32]:
        """Return the adapters' learned values, (P,)."""
        vector: NDArray[np.float32] = torch.cat([p.detach().flatten() for p in self._learned]).numpy()
        return vector

    @torch.no_grad()
    def put(self, vector: NDArray[np.float32]) -> None:
        """Set the adapters' learned values from (P,)."""
        start = 0
        for parameter in self._learned:
            end = start + parameter.numel()
            parameter.copy_(torch.from_numpy(vector[start:end].copy()).view_as(parameter))
            start = end

    def update(
        self, vector: NDArray[np.float32], windows: Sequence[NDArray[np.int64]], clip_norm: float
    ) -> LocalUpdate:
        """Train on one writer's text and return the clipped change.

        Args:
            vector: the adapters as the server sent them, (P,).
            windows: see `token_windows`.
            clip_norm: bound on the change's Euclidean norm.
        """
        self.put(vector)
        nats, num_targets = 0.0, 0
        for _ in range(self.config.local_epochs):
            for window in windows:
                loss = self._nll(window)
                gradients = torch.autograd.grad(loss, self._learned)
                with torch.no_grad():
                    torch._foreach_add_(self._learned, gradients, alpha=-self.config.local_rate)
                nats += float(loss.detach()) * (len(window) - 1)
                num_targets += len(window) - 1
        change = self.vector() - vector
        change, norm = clipped(change, clip_norm)
        return LocalUpdate(change, norm, nats / max(1, num_targets))

    @torch.no_grad()
    def nats_per_token(self, vector: NDArray[np.float32], windows: Iterable[NDArray[np.int64]]) -> float:
        """Return the mean NLL of windows under given adapters."""
        self.put(vector)
        total, count = 0.0, 0
        for window in windows:
            total += float(self._nll(window)) * (len(window) - 1)
            count += len(window) - 1
        return total / max(1, count)

    def merged_weights(self, vector: NDArray[np.float32]) -> dict[str, NDArray[np.float16]]:
        """Return the network's weights with the adapters in them."""
        whole = AdaptedNetwork(self._checkpoint, dataclasses.replace(self.config, precision="fp32"))
        whole.put(vector)
        merge(whole.network)
        return {name: value.numpy().astype(np.float16) for name, value in whole.network.state_dict().items()}

    def _nll(self, window: NDArray[np.int64]) -> Tensor:
        tokens = torch.from_numpy(window)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._dtype == torch.bfloat16):
            logits = self.network(tokens[None, :-1])[0]  # (T, V)
        return F.cross_entropy(logits.float(), tokens[1:])


def clipped(change: NDArray[np.float32], clip_norm: float) -> tuple[NDArray[np.float32], float]:
    """Return a change scaled down to a norm, and its norm before; one that is not a number becomes zero."""
    # Not by BLAS: for one dot product its other threads wake up, and spin through the next device's training.
    norm = float(np.sqrt(np.square(change, dtype=np.float64).sum()))
    if not np.isfinite(norm):
        return np.zeros_like(change), norm
    # A hair below, so that rounding to fp32 cannot pass the bound that the noise is made for.
    return (change * np.float32(clip_norm * (1 - 1e-6) / norm), norm) if norm > clip_norm else (change, norm)
