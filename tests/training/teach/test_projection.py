"""Jeffrey's rule on our pieces, and the mixture's weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from keyboard_lm_training.teach.mixture import _best_weight
from keyboard_lm_training.teach.native_text import INSIDE, MESSAGE_START, NativeWindow
from keyboard_lm_training.teach.projection import Projection

from keyboard_lm.errors import CheckpointError

_NUM_PIECES, _NUM_TOKENS = 6, 5


def _projection(seed: int) -> tuple[Projection, np.ndarray]:
    # Every piece and every token is seen; returns P(t | p) too, (V, N).
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, (_NUM_PIECES, _NUM_TOKENS))
    counts[np.arange(_NUM_PIECES), np.arange(_NUM_PIECES) % _NUM_TOKENS] += 1
    rows = np.array([(p, t, counts[p, t]) for p in range(_NUM_PIECES) for t in range(_NUM_TOKENS) if counts[p, t]])
    empty = np.empty((0, 3), np.int64)
    return Projection([rows, empty, empty], _NUM_PIECES, _NUM_TOKENS), counts / counts.sum(1, keepdims=True)


def _distributions(seed: int, size: int, count: int = 3) -> torch.Tensor:
    values = np.random.default_rng(seed).gamma(0.5, size=(size, count)) + 1e-6
    return torch.from_numpy(values / values.sum(0)).float()


@given(seed=st.integers(0, 10_000))
def test_the_native_tokens_keep_their_probability_and_their_shares_stay_ours(seed: int) -> None:
    projection, given_piece = _projection(seed)
    native, own = _distributions(seed, _NUM_TOKENS), _distributions(seed + 1, _NUM_PIECES)
    result = projection.project(native, own, INSIDE).numpy().astype(np.float64)
    np.testing.assert_allclose(result.sum(0), 1, rtol=1e-4)
    joint = own.numpy()[:, None] * given_piece[:, :, None]  # (V, N, n)
    expected = (joint / joint.sum(0, keepdims=True) * native.numpy()[None]).sum(1)  # (V, n)
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-6)


@given(seed=st.integers(0, 10_000))
def test_a_teacher_that_agrees_changes_nothing(seed: int) -> None:
    projection, given_piece = _projection(seed)
    own = _distributions(seed, _NUM_PIECES)
    native = torch.from_numpy(given_piece.T @ own.numpy()).float()
    torch.testing.assert_close(projection.project(native, own, INSIDE), own, rtol=1e-3, atol=1e-5)


def test_a_place_of_which_nothing_was_counted_stays_ours() -> None:
    projection, _ = _projection(0)
    own = _distributions(1, _NUM_PIECES)
    assert (projection.project(_distributions(2, _NUM_TOKENS), own, MESSAGE_START) == own).all()


@given(seed=st.integers(0, 10_000))
def test_a_piece_that_was_never_counted_keeps_what_ours_gives_it(seed: int) -> None:
    projection, _ = _projection(seed)
    rows = projection.counts[INSIDE]
    fewer = Projection([rows[rows[:, 0] > 1], *projection.counts[1:]], _NUM_PIECES, _NUM_TOKENS)
    own = _distributions(seed + 1, _NUM_PIECES)
    result = fewer.project(_distributions(seed, _NUM_TOKENS), own, INSIDE)
    torch.testing.assert_close(result[:2], own[:2])
    torch.testing.assert_close(result.sum(0), torch.ones(3))


def test_counts_are_those_of_the_borders_and_survive_storage() -> None:
    window = np.array([1, 3, 4, 3, 5])
    native = NativeWindow(np.array([0, 2, 2, 4]), np.array([0, 1, 3]), np.array([1, 2, 4]), np.array([2, 0, 0]))
    projection = Projection.count([(window, native), (window, native)], _NUM_PIECES, _NUM_TOKENS)
    assert projection.counts[INSIDE].tolist() == [[4, 2, 2]]  # the last border's token is not in sight
    assert projection.counts[MESSAGE_START].tolist() == [[3, 2, 2]]
    again = Projection.from_tensors(projection.tensors(), _NUM_PIECES, _NUM_TOKENS)
    for before, after in zip(projection.counts, again.counts, strict=True):
        assert (before == after).all()
    with pytest.raises(CheckpointError, match="lacks"):
        Projection.from_tensors({}, _NUM_PIECES, _NUM_TOKENS)


@given(seed=st.integers(0, 10_000))
def test_the_fitted_weight_is_the_best_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pair = torch.from_numpy(rng.beta(0.5, 2, (2, 200)) + 1e-9)
    weight = _best_weight(pair)

    def loss(share: float) -> float:
        return float(-(share * pair[0] + (1 - share) * pair[1]).log().mean())

    assert loss(weight) <= min(loss(share) for share in np.linspace(0.05, 0.95, 19)) + 2e-3
