"""The fused distillation loss against torch's own KL."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from keyboard_lm_training.run.loss import CHUNK_TOKENS, linear_cross_entropy
from keyboard_lm_training.teach.distill_loss import Teacher, TopTeacher, WholeTeacher, linear_distillation
from keyboard_lm_training.teach.teacher_logits import top_logits
from torch import Tensor

_V, _C, _TEACHER_C = 40, 12, 20


class _Case:
    """Hidden states and tables of a student and its teacher."""

    def __init__(self, num_tokens: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.hidden = torch.randn(num_tokens, _C, generator=generator).requires_grad_()
        self.table = (torch.randn(_V, _C, generator=generator) / 2).requires_grad_()
        self.targets = torch.randint(0, _V, (num_tokens,), generator=generator)
        self.teacher_hidden = torch.randn(num_tokens, _TEACHER_C, generator=generator)
        self.teacher_table = torch.randn(_V, _TEACHER_C, generator=generator) / 2

    def whole(self, temperature: float) -> WholeTeacher:
        return WholeTeacher(self.teacher_hidden, self.teacher_table, temperature, torch.float32)

    def top(self, top_k: int, temperature: float) -> TopTeacher:
        top = top_logits(self.teacher_hidden @ self.teacher_table.T, top_k, temperature)
        return TopTeacher(top.ids, top.log_q, top.log_rest)

    def gradients(self, teacher: Teacher, *options: float) -> tuple[Tensor, Tensor, Tensor]:
        loss, _ = linear_distillation(self.hidden, self.table, self.targets, teacher, *options)
        return (loss.detach(), *torch.autograd.grad(loss, (self.hidden, self.table)))


@pytest.mark.parametrize("num_tokens", [1, 7, CHUNK_TOKENS + 3])
@pytest.mark.parametrize(
    ("alpha", "temperature", "z_loss_weight"), [(0.5, 1.0, 0.0), (0.3, 2.0, 1e-2), (1.0, 0.5, 0.0)]
)
def test_fused_loss_and_gradients_equal_torchs_kl(
    num_tokens: int, alpha: float, temperature: float, z_loss_weight: float
) -> None:
    case = _Case(num_tokens)
    logits = case.hidden @ case.table.T
    teacher_logits = case.teacher_hidden @ case.teacher_table.T
    nll = F.cross_entropy(logits, case.targets)
    kl = F.kl_div(
        (logits / temperature).log_softmax(-1), (teacher_logits / temperature).log_softmax(-1),
        log_target=True, reduction="batchmean",
    )  # fmt: skip
    z_loss = z_loss_weight * logits.logsumexp(-1).square().mean()
    plain = (1 - alpha) * nll + alpha * temperature**2 * kl + z_loss
    expected = (plain.detach(), *torch.autograd.grad(plain, (case.hidden, case.table)))
    got = case.gradients(case.whole(temperature), alpha, temperature, z_loss_weight)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_rest_of_a_cut_teacher_is_one_outcome(temperature: float) -> None:
    case = _Case(9)
    teacher = case.top(5, temperature)
    log_p = (case.hidden @ case.table.T / temperature).log_softmax(-1)
    inside = torch.zeros_like(log_p, dtype=torch.bool).scatter_(1, teacher.token_ids, True)
    log_rest = log_p.masked_fill(inside, -torch.inf).logsumexp(-1, keepdim=True)
    outcomes = torch.cat((log_p.gather(1, teacher.token_ids), log_rest), 1)  # (N, k + 1)
    of_teacher = torch.cat((teacher.log_q, teacher.log_rest), 1)
    plain = temperature**2 * F.kl_div(outcomes, of_teacher, log_target=True, reduction="batchmean")
    expected = (plain.detach(), *torch.autograd.grad(plain, (case.hidden, case.table)))
    for ours, theirs in zip(case.gradients(teacher, 1.0, temperature), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-4)


def test_all_tokens_stored_equal_the_live_teacher() -> None:
    case = _Case(9)
    live = case.gradients(case.whole(2.0), 0.7, 2.0)
    for ours, theirs in zip(case.gradients(case.top(_V, 2.0), 0.7, 2.0), live, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-4)


def test_without_weight_the_teacher_changes_nothing() -> None:
    case = _Case(9)
    loss, nll = linear_cross_entropy(case.hidden, case.table, case.targets, 1e-3)
    expected = (loss.detach(), *torch.autograd.grad(loss, (case.hidden, case.table)))
    for ours, theirs in zip(case.gradients(case.whole(1.0), 0.0, 1.0, 1e-3), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)
    assert torch.isfinite(nll)


def test_a_student_that_is_its_teacher_has_no_gradient() -> None:
    case = _Case(9)
    teacher = WholeTeacher(case.hidden.detach(), case.table.detach(), 1.0, torch.float32)
    loss, hidden_grad, table_grad = case.gradients(teacher, 1.0, 1.0)
    assert abs(float(loss)) < 1e-5
    assert float(hidden_grad.abs().max()) < 1e-6
    assert float(table_grad.abs().max()) < 1e-6
