"""Cross-entropy through the tied head, without ever holding the whole (N, V) logits.

The gradient with respect to hidden states and table is computed chunk by chunk in the forward pass, so that each
chunk's logits stay in cache (Hsu et al. 2024, "Liger Kernel", section 3, describes the same fusion on GPUs).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

CHUNK_TOKENS = 512


def _chunk_loss(logits: Tensor, targets: Tensor, z_loss_weight: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient (n, V) of a chunk's loss, its summed NLL and its summed squared log-partition.

    Args:
        logits: (n, V); written over.
        targets: (n, 1).
        z_loss_weight: see `linear_cross_entropy`.
    """
    wide = logits.float()  # (n, V)
    lse = wide.logsumexp(dim=-1, keepdim=True)  # (n, 1)
    nll_sum = (lse - wide.gather(1, targets)).sum()
    probabilities = wide.sub_(lse).exp_()  # (n, V)
    if z_loss_weight:
        probabilities.mul_(1 + 2 * z_loss_weight * lse)
    probabilities.scatter_add_(1, targets, torch.full_like(lse, -1.0))
    return probabilities.to(logits.dtype), nll_sum, lse.square().sum()


@cache
def _compiled_chunk_loss() -> Any:
    # Everything between two matrix products in two passes over the logits instead of seven.
    return torch.compile(_chunk_loss, dynamic=False)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        table: Tensor,
        targets: Tensor,
        z_loss_weight: float,
        dtype: torch.dtype,
        is_compiled: bool,
    ) -> tuple[Tensor, Tensor]:
        need_grad = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        need_table_grad = ctx.needs_input_grad[1]  # a frozen table saves a third of the products
        num_tokens = hidden.shape[0]
        narrow = table.to(dtype)
        hidden_grad = torch.empty_like(hidden) if need_grad else None
        table_grad = torch.zeros_like(table, dtype=torch.float32) if need_table_grad else None
        nll_sum = hidden.new_zeros((), dtype=torch.float32)
        z_sum = hidden.new_zeros((), dtype=torch.float32)
        chunk_loss = _compiled_chunk_loss() if is_compiled else _chunk_loss
        for start in range(0, num_tokens, CHUNK_TOKENS):
            rows = slice(start, start + CHUNK_TOKENS)
            states = hidden[rows].to(dtype)  # (n, C)
            logits_grad, nll, z = chunk_loss(states @ narrow.T, targets[rows].unsqueeze(1), z_loss_weight)
            nll_sum += nll
            z_sum += z
            if hidden_grad is not None:
                hidden_grad[rows] = logits_grad @ narrow
            if table_grad is not None:
                table_grad += logits_grad.T @ states
        nll = nll_sum / num_tokens
        if hidden_grad is not None:
            ctx.save_for_backward(
                hidden_grad.div_(num_tokens), None if table_grad is None else table_grad.div_(num_tokens)
            )
        ctx.mark_non_differentiable(nll)
        return nll + z_loss_weight * z_sum / num_tokens, nll

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor | None, None, None, None, None]:
        hidden_grad, table_grad = ctx.saved_tensors
        table_grad = None if table_grad is None else table_grad * grads[0]
        return hidden_grad * grads[0], table_grad, None, None, None, None


def linear_cross_entropy(
    hidden: Tensor,
    table: Tensor,
    targets: Tensor,
    z_loss_weight: float = 0.0,
    dtype: torch.dtype = torch.float32,
    is_compiled: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the training loss and the plain negative log-likelihood, both means over tokens, in nats.

    Args:
        hidden: (N, C) normed hidden states.
        table: (V, C) tied embedding table.
        targets: (N,) token ids.
        z_loss_weight: weight of the squared log-partition (Zoph et al. 2022, "ST-MoE", equation 5).
        dtype: precision of the matrix products; sums and the softmax are fp32.
        is_compiled: fuse what lies between the matrix products with torch.compile.

    Returns:
        The loss to differentiate (NLL + z-loss) and the detached NLL, scalars.
    """
    function: Any = _LinearCrossEntropy
    loss, nll = function.apply(hidden, table, targets, z_loss_weight, dtype, is_compiled)
    return loss, nll
