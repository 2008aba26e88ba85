"""Muon, with its orthogonalisation in the precision that is fast on this machine.

Jordan et al. 2024, "Muon": a matrix's momentum is replaced by its nearest semi-orthogonal one, found by a quintic
Newton-Schulz iteration; updates are scaled to AdamW's root mean square (Liu et al. 2025, "Muon is scalable for LLM
training"). torch.optim.Muon iterates in bf16 always: on a CPU that only emulates it, a step over 22 M parameters took
8.9 seconds where AdamW took 0.02.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_TINIEST = 1e-7
_SIDE = 512  # of the matrices that are timed
_TRIALS = 3
_SLOWER = 1.5  # bf16 has to be that much slower, so that noise does not change the choice


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised.

    Args:
        parameters: matrices.
        lr: learning rate, as AdamW's.
        weight_decay: decoupled.
        momentum: of the running mean of gradients; Nesterov's variant.
        dtype: of the iteration.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, weight_decay: float, momentum: float, dtype: torch.dtype
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self._dtype = dtype

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update the matrices by their gradients."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        grad = parameter.grad
        assert grad is not None
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(grad)
        buffer: Tensor = state["momentum_buffer"]
        buffer.lerp_(grad, 1 - group["momentum"])
        direction = orthogonalised(grad.lerp(buffer, group["momentum"]), self._dtype)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(direction, alpha=-0.2 * math.sqrt(max(parameter.shape)) * group["lr"])


def orthogonalised(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """Return about U V^T of a matrix U S V^T, its singular values between 0.7 and 1.2, in `dtype`."""
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.to(dtype)
    x = x.T if is_tall else x
    x = x / x.norm().clamp(min=_TINIEST)
    first, third, fifth = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=third, alpha=fifth), x, beta=first)
    return x.T if is_tall else x


def iteration_dtype(device: torch.device, clock: Callable[[], float] = time.perf_counter) -> torch.dtype:
    """Return bf16, or fp32 on a CPU whose bf16 products are slower.

    Args:
        device: where the matrices are.
        clock: seconds.
    """
    if device.type != "cpu":
        return torch.bfloat16
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(_SIDE, _SIDE, dtype=dtype)
        trials = []
        for _ in range(_TRIALS):
            started = clock()
            torch.mm(matrix, matrix)
            trials.append(clock() - started)
        seconds[dtype] = min(trials)
    return torch.float32 if seconds[torch.bfloat16] > _SLOWER * seconds[torch.float32] else torch.bfloat16
