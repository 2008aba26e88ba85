"""Muon against torch's, and what it iterates in."""

from __future__ import annotations

from itertools import cycle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from keyboard_lm_training.run import muon
from keyboard_lm_training.run.muon import Muon, iteration_dtype, orthogonalised


def test_in_bf16_it_is_torch_s() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((8, 24), (24, 8))]
    copies = [torch.nn.Parameter(weight.detach().clone()) for weight in weights]
    ours = Muon(weights, 1e-2, 0.1, 0.95, torch.bfloat16)
    theirs = torch.optim.Muon(copies, lr=1e-2, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for weight, copy in zip(weights, copies, strict=True):
            weight.grad = torch.randn(weight.shape, generator=generator)
            copy.grad = weight.grad.clone()
        ours.step()
        theirs.step()
    for weight, copy in zip(weights, copies, strict=True):
        torch.testing.assert_close(weight, copy, rtol=0, atol=2e-4)  # bf16 has eight bits


@given(rows=st.integers(1, 30), columns=st.integers(1, 30), seed=st.integers(0, 100))
def test_directions_are_nearly_orthogonal_and_keep_their_singular_vectors(rows: int, columns: int, seed: int) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    is_full = s > 0.05 * s[0]  # five iterations lift what is not much smaller
    found = (u.T @ orthogonalised(matrix, torch.float32) @ v.T).numpy()  # diagonal where the vectors are the same
    diagonal = torch.from_numpy(found.diagonal().copy())[is_full]
    assert ((diagonal > 0.5) & (diagonal < 1.3)).all()


@pytest.mark.parametrize(("fp32_ms", "bf16_ms", "expected"), [(1, 5, torch.float32), (5, 1, torch.bfloat16),
                                                              (4, 5, torch.bfloat16)])  # fmt: skip
def test_the_faster_precision_is_taken(
    fp32_ms: float, bf16_ms: float, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    durations = cycle([fp32_ms] * muon._TRIALS + [bf16_ms] * muon._TRIALS)
    calls = 0

    def clock() -> float:
        nonlocal now, calls
        calls += 1
        now += next(durations) if calls % 2 == 0 else 0.0
        return now

    assert iteration_dtype(torch.device("cpu"), clock) is expected
