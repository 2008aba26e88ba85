"""The fused cross-entropy against torch's own."""

from __future__ import annotations

import shutil

import pytest
import torch
import torch.nn.functional as F
from keyboard_lm_training.run.loss import CHUNK_TOKENS, linear_cross_entropy


@pytest.mark.parametrize("num_tokens", [1, 7, CHUNK_TOKENS, CHUNK_TOKENS + 3])
@pytest.mark.parametrize("z_loss_weight", [0.0, 1e-2])
def test_fused_loss_and_gradients_equal_plain_ones(num_tokens: int, z_loss_weight: float) -> None:
    generator = torch.Generator().manual_seed(num_tokens)
    hidden = torch.randn(num_tokens, 12, generator=generator, dtype=torch.float32).requires_grad_()
    table = torch.randn(40, 12, generator=generator).requires_grad_()
    targets = torch.randint(0, 40, (num_tokens,), generator=generator)

    logits = hidden @ table.T
    plain_nll = F.cross_entropy(logits, targets)
    plain = plain_nll + z_loss_weight * logits.logsumexp(-1).square().mean()
    expected = torch.autograd.grad(plain, (hidden, table))
    fused, nll = linear_cross_entropy(hidden, table, targets, z_loss_weight)
    got = torch.autograd.grad(fused * 1.0, (hidden, table))

    torch.testing.assert_close(fused, plain)
    torch.testing.assert_close(nll, plain_nll)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


def test_nll_carries_no_gradient() -> None:
    hidden = torch.randn(3, 4, requires_grad=True)
    _, nll = linear_cross_entropy(hidden, torch.randn(5, 4), torch.tensor([0, 1, 2]))
    assert not nll.requires_grad


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_loss_equals_the_eager_one() -> None:
    generator = torch.Generator().manual_seed(3)
    hidden = torch.randn(9, 12, generator=generator).requires_grad_()
    table = torch.randn(40, 12, generator=generator).requires_grad_()
    targets = torch.randint(0, 40, (9,), generator=generator)
    both = []
    for is_compiled in (False, True):
        loss, nll = linear_cross_entropy(hidden, table, targets, 1e-2, is_compiled=is_compiled)
        both.append((loss.detach(), nll, *torch.autograd.grad(loss, (hidden, table))))
    for eager, compiled in zip(*both, strict=True):
        torch.testing.assert_close(compiled, eager)
