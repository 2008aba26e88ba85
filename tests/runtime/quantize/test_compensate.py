"""Codes that make up for each other's errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from keyboard_lm.quantize.blockwise import quantize
from keyboard_lm.quantize.compensate import compensated, compensated_blocks
from keyboard_lm.quantize.palettes import palettize


def _inputs(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    # Inputs that go together: a few directions carry most of them.
    mixing = rng.normal(size=(size // 4, size))
    inputs: NDArray[np.float32] = (
        rng.normal(size=(4000, size // 4)) @ mixing + rng.normal(size=(4000, size)) / 4
    ).astype(np.float32)
    return inputs


@given(seed=st.integers(0, 1000), columns=st.sampled_from([40, 64, 96]), block_size=st.sampled_from([16, 32]))
def test_inputs_that_do_not_go_together_leave_the_nearest_codes(seed: int, columns: int, block_size: int) -> None:
    matrix = np.random.default_rng(seed).normal(size=(5, columns)).astype(np.float32)
    moments = np.eye(columns, dtype=np.float32)
    chosen, plain = compensated_blocks(matrix, 4, block_size, moments, 10_000), quantize(matrix, 4, block_size)
    np.testing.assert_array_equal(chosen.codes, plain.codes)
    np.testing.assert_array_equal(chosen.scales, plain.scales)


@pytest.mark.parametrize("columns", [64, 72])
def test_outputs_move_less_than_with_the_nearest_codes(columns: int) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(48, columns)).astype(np.float32)
    inputs = _inputs(rng, columns)
    moments = inputs.T @ inputs / len(inputs)

    def loss(other: NDArray[np.float32]) -> float:
        return float(np.square(inputs @ (other - matrix).T).mean())

    blocks = compensated_blocks(matrix, 4, 32, moments, len(inputs))
    assert loss(blocks.dequantized()) < 0.7 * loss(quantize(matrix, 4, 32).dequantized())
    palette = palettize(matrix, 4, 0)
    assert loss(compensated(matrix, palette, moments, len(inputs)).dequantized()) < 0.7 * loss(palette.dequantized())


def test_weights_that_lie_on_their_grid_stay() -> None:
    rng = np.random.default_rng(1)
    matrix = quantize(rng.normal(size=(8, 64)).astype(np.float32), 4, 32).dequantized()
    inputs = _inputs(rng, 64)
    chosen = compensated_blocks(matrix, 4, 32, inputs.T @ inputs / len(inputs), len(inputs)).dequantized()
    np.testing.assert_allclose(chosen, matrix, rtol=1e-3, atol=1e-4)
