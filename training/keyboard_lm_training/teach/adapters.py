"""Low-rank adapters: what a big network learns beside its own weights, which stay as they are.

Hu et al. 2022, "LoRA": a matrix W becomes W + s B A with A (r, in) drawn at random and B (out, r) zero, so that tuning
begins at the network itself; no gradient of W is computed, and a saved state is a few megabytes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AdaptedLinear(nn.Module):
    """A linear layer with an adapter.

    Args:
        base: the layer, whose weight is frozen.
        rank: of the adapter (r).
        generator: draws A.
    """

    def __init__(self, base: nn.Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.normal_(self.down, std=base.in_features**-0.5, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.base(x) + F.linear(F.linear(x, self.down), self.up)
        return out

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Return the layer with the adapter in its weight."""
        weight = self.base.weight
        weight.copy_((weight.float() + self.up @ self.down).to(weight.dtype))
        return self.base


def adapt(network: nn.Module, rank: int, seed: int) -> None:
    """Freeze a network and put an adapter beside every linear layer inside it."""
    network.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parent, name, layer in _linear_layers(network):
        setattr(parent, name, AdaptedLinear(layer, rank, generator))


def merge(network: nn.Module) -> None:
    """Put every adapter into the weight beside it."""
    found = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, AdaptedLinear)
    ]
    for parent, name, child in found:
        setattr(parent, name, child.merged())


def _linear_layers(network: nn.Module) -> list[tuple[nn.Module, str, nn.Linear]]:
    return [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear) and name != "lm_head"
    ]
