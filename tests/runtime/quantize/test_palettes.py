"""Laws of palettization: look-up tables per group of rows, against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from keyboard_lm.quantize.palettes import BITS, palettize, weighted_kmeans

MATRICES = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.floats(-100, 100, width=16)
)
GROUP_SIZES = st.sampled_from([0, 1, 2, 4, 16])


def best_error(values: NDArray[np.float64], cost: NDArray[np.float64], num_clusters: int) -> float:
    """Return the least weighted squared error of cutting sorted values into intervals, by trying every cut."""
    order = values.argsort()
    x, w = values[order], cost[order]
    least = np.inf
    for cuts in itertools.combinations(range(1, len(x)), num_clusters - 1):
        parts = itertools.pairwise((0, *cuts, len(x)))
        means = [(x[a:b], w[a:b], np.average(x[a:b], weights=w[a:b])) for a, b in parts]
        least = min(least, sum(float((weight * (part - mean) ** 2).sum()) for part, weight, mean in means))
    return least


@given(matrix=MATRICES, bits=st.sampled_from(BITS), group_size=GROUP_SIZES)
def test_each_weight_becomes_the_nearest_of_its_groups_table(
    matrix: NDArray[np.float32], bits: int, group_size: int
) -> None:
    result = palettize(matrix, bits, group_size)
    assert result.codes.shape == matrix.shape
    assert result.codes.max(initial=0) < 1 << bits
    assert len(matrix) % result.group_size == 0
    assert (np.diff(result.tables.astype(np.float32), axis=1) >= 0).all()
    back = result.dequantized()
    for row, (weights, got) in enumerate(zip(matrix, back, strict=True)):
        table = result.tables[row // result.group_size].astype(np.float32)  # (2^bits,)
        least = np.abs(weights[:, None] - table).min(axis=1)
        assert np.allclose(np.abs(weights - got), least, atol=1e-5)


@given(bits=st.sampled_from([1, 2, 4, 6]), group_size=st.sampled_from([0, 1, 4]), seed=st.integers(0, 1000))
def test_palettized_weights_are_palettized_without_loss(bits: int, group_size: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).standard_normal((8, 24)).astype(np.float32)
    once = palettize(matrix, bits, group_size).dequantized()
    assert np.array_equal(palettize(once, bits, group_size).dequantized(), once)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("is_weighted", [False, True])
def test_tables_come_close_to_the_best_there_are(seed: int, is_weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(12)
    cost = rng.uniform(0.1, 3, 12) if is_weighted else np.ones(12)
    centres = weighted_kmeans(values[None].astype(np.float32), 4, cost[None].astype(np.float32))[0].astype(np.float64)
    error = float((cost * np.abs(values[:, None] - centres).min(axis=1) ** 2).sum())
    assert error <= 1.02 * best_error(values, cost, 4) + 1e-3  # fp16


def test_a_group_of_its_own_for_few_rows_loses_less() -> None:
    rng = np.random.default_rng(3)
    matrix = (rng.standard_normal((64, 48)) * rng.uniform(0.2, 5, (64, 1))).astype(np.float32)
    errors = [float(np.square(palettize(matrix, 4, size).dequantized() - matrix).mean()) for size in (0, 16, 4)]
    assert errors == sorted(errors, reverse=True)


def test_weights_that_matter_move_less() -> None:
    matrix = np.random.default_rng(4).standard_normal((16, 64)).astype(np.float32)
    importance = np.where(np.arange(64) < 8, 50.0, 1.0).astype(np.float32)
    plain, weighted = (palettize(matrix, 3, 0, cost).dequantized() for cost in (None, importance))
    assert np.square(weighted - matrix)[:, :8].mean() < np.square(plain - matrix)[:, :8].mean()


def test_what_cannot_be_palettized_is_refused() -> None:
    with pytest.raises(ValueError, match="bits must be one of"):
        palettize(np.ones((2, 2), np.float32), 5, 0)
    with pytest.raises(ValueError, match="finite"):
        palettize(np.full((2, 2), np.nan, np.float32), 4, 0)
