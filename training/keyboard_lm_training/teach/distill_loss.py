"""Distillation through the tied head, chunk by chunk, with gradients in the forward pass as in `loss.py`.

The loss is (1 - a) NLL + a t^2 KL(teacher || student), both distributions softened by the temperature t (Hinton et al.
2015, "Distilling the knowledge in a neural network"), plus z-loss. Its gradient with respect to a logit is
(1 - a) (p - target) + a t (p_t - q_t). Of a teacher cut to its k most probable tokens, all others count as one
outcome: the student may share that rest out as it likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from keyboard_lm_training.run.loss import CHUNK_TOKENS

_LEAST_REST = 1e-6  # of the student's rest, which fp32 gives to about 1e-7


@dataclass(frozen=True)
class SoftLogits:
    """A chunk of a student's softened distribution, and where its gradient goes.

    Attributes:
        logits: (n, V), divided by the temperature.
        lse: (n, 1), their log-partition.
        probabilities: (n, V), their softmax; to be turned into p - q in place.
    """

    logits: Tensor
    lse: Tensor
    probabilities: Tensor


class Teacher(Protocol):
    """The softened distributions of a teacher over N tokens."""

    def subtract(self, rows: slice, student: SoftLogits) -> Tensor:
        """Turn the student's probabilities p into the gradient p - q; return the sum of KL(q || p) over the rows."""


@dataclass(frozen=True)
class WholeTeacher:
    """A teacher whose logits are computed chunk by chunk.

    Attributes:
        hidden: (N, C) normed hidden states.
        table: (V, C) tied table.
        temperature: divides the logits.
        dtype: precision of the matrix product.
    """

    hidden: Tensor
    table: Tensor
    temperature: float
    dtype: torch.dtype

    def subtract(self, rows: slice, student: SoftLogits) -> Tensor:
        logits = (self.hidden[rows].to(self.dtype) @ self.table.to(self.dtype).T).float()  # (n, V)
        log_q = logits.div_(self.temperature).log_softmax(dim=-1)  # (n, V)
        q = log_q.exp()  # (n, V)
        # Both sums as dot products, which read their factors once and keep nothing.
        kl = torch.dot(q.flatten(), log_q.flatten()) - torch.dot(q.flatten(), student.logits.flatten())
        student.probabilities.sub_(q)
        return kl + student.lse.sum()


@dataclass(frozen=True)
class TopTeacher:
    """A teacher of which the k most probable tokens are known.

    Attributes:
        token_ids: (N, k), int64.
        log_q: (N, k) log-probabilities, fp32.
        log_rest: (N, 1) log-probability of all other tokens together; -inf where there are none.
    """

    token_ids: Tensor
    log_q: Tensor
    log_rest: Tensor

    def subtract(self, rows: slice, student: SoftLogits) -> Tensor:
        ids, log_q, log_rest = self.token_ids[rows], self.log_q[rows], self.log_rest[rows]
        total = torch.logaddexp(log_q.logsumexp(-1, keepdim=True), log_rest)  # (n, 1): stored values were rounded
        log_q, log_rest = log_q - total, log_rest - total
        q, rest = log_q.exp(), log_rest.exp()  # (n, k), (n, 1)
        top = student.probabilities.gather(1, ids)  # (n, k)
        student_rest = (1 - top.sum(-1, keepdim=True)).clamp_(min=_LEAST_REST)  # (n, 1)
        ratio = rest / student_rest  # (n, 1)
        student.probabilities.mul_(1 - ratio)
        student.probabilities.scatter_(1, ids, top - q)
        log_p = student.logits.gather(1, ids) - student.lse  # (n, k)
        return (q * (log_q - log_p)).sum() + torch.xlogy(rest, ratio).sum()


class _LinearDistillation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        table: Tensor,
        targets: Tensor,
        teacher: Teacher,
        alpha: float,
        temperature: float,
        z_loss_weight: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        num_tokens = hidden.shape[0]
        narrow = table.to(dtype)
        hidden_grad = torch.empty_like(hidden)
        table_grad = torch.zeros_like(table, dtype=torch.float32)
        sums = hidden.new_zeros(3, dtype=torch.float32)  # NLL, KL, squared log-partition
        for start in range(0, num_tokens, CHUNK_TOKENS):
            rows = slice(start, start + CHUNK_TOKENS)
            states = hidden[rows].to(dtype)  # (n, C)
            chunk_targets = targets[rows].unsqueeze(1)  # (n, 1)
            logits = (states @ narrow.T).float()  # (n, V)
            lse = logits.logsumexp(dim=-1, keepdim=True)  # (n, 1)
            sums[0] += (lse - logits.gather(1, chunk_targets)).sum()
            sums[2] += lse.square().sum()
            grad = (logits - lse).exp_()  # (n, V): the student's p
            soft = logits if temperature == 1 else logits / temperature  # (n, V)
            soft_lse = lse if temperature == 1 else soft.logsumexp(dim=-1, keepdim=True)  # (n, 1)
            difference = (
                grad.clone() if temperature == 1 else (soft - soft_lse).exp_()
            )  # (n, V): softened p, then p - q
            sums[1] += teacher.subtract(rows, SoftLogits(soft, soft_lse, difference))
            grad.mul_((1 - alpha) + 2 * z_loss_weight * lse)
            grad.scatter_add_(1, chunk_targets, torch.full_like(lse, alpha - 1))
            grad.add_(difference, alpha=alpha * temperature)
            logits_grad = grad.to(dtype)  # (n, V)
            hidden_grad[rows] = logits_grad @ narrow
            table_grad += logits_grad.T @ states
        nll, kl, z = sums / num_tokens
        ctx.save_for_backward(hidden_grad.div_(num_tokens), table_grad.div_(num_tokens))
        ctx.mark_non_differentiable(nll)
        return (1 - alpha) * nll + alpha * temperature**2 * kl + z_loss_weight * z, nll

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        hidden_grad, table_grad = ctx.saved_tensors
        return hidden_grad * grads[0], table_grad * grads[0], None, None, None, None, None, None


def linear_distillation(
    hidden: Tensor,
    table: Tensor,
    targets: Tensor,
    teacher: Teacher,
    alpha: float,
    temperature: float,
    z_loss_weight: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Return the training loss and the plain negative log-likelihood, both means over tokens, in nats.

    Args:
        hidden: (N, C) normed hidden states of the student.
        table: (V, C) its tied embedding table.
        targets: (N,) token ids.
        teacher: the teacher's distributions, softened by the same temperature.
        alpha: weight of the KL term; the NLL has the rest.
        temperature: softens both distributions; the KL term is multiplied by its square.
        z_loss_weight: weight of the squared log-partition of the student (not softened).
        dtype: precision of the matrix products; sums and the softmax are fp32.

    Returns:
        The loss to differentiate and the detached NLL, scalars.
    """
    function: Any = _LinearDistillation
    loss, nll = function.apply(hidden, table, targets, teacher, alpha, temperature, z_loss_weight, dtype)
    return loss, nll
