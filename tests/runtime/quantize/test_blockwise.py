"""Laws of the block quantization that the runtime graph stores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from keyboard_lm.quantize.blockwise import BlockQuantized, quantize

MATRICES = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=70), elements=st.floats(-100, 100, width=32)
)
BITS = st.sampled_from([4, 8])
BLOCK_SIZES = st.sampled_from([16, 32, 64])


def plain(matrix: NDArray[np.float32], bits: int, block_size: int) -> NDArray[np.float32]:
    """Round to nearest with the scale that the largest magnitude of each block sets (llama.cpp's Q4_0)."""
    zero_point = 1 << bits - 1
    blocks = matrix.reshape(-1, block_size)
    peaks = np.take_along_axis(blocks, np.abs(blocks).argmax(1)[:, None], 1)
    scales = np.where(peaks == 0, 1, peaks / -zero_point)
    rounded = np.clip(np.rint(blocks / scales), -zero_point, zero_point - 1) * scales
    return rounded.reshape(matrix.shape)


@given(matrix=MATRICES, bits=BITS, block_size=BLOCK_SIZES)
def test_no_weight_moves_by_more_than_the_widest_step(matrix: NDArray[np.float32], bits: int, block_size: int) -> None:
    quantized = quantize(matrix, bits, block_size)
    back = quantized.dequantized()
    assert back.shape == matrix.shape
    widest = 2 * np.abs(matrix).max() / (1 << bits - 1)  # searched scales may clip a block's largest weight
    assert np.abs(back - matrix).max() <= widest + 1e-6


@given(bits=BITS, block_size=BLOCK_SIZES, seed=st.integers(0, 1000))
def test_matrix_on_the_grid_is_kept(bits: int, block_size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1 << bits, (3, 2, block_size), dtype=np.uint8)
    codes[..., 0] = 0  # the far end of the grid is used
    scales = rng.normal(size=(3, 2)).astype(np.float32)
    matrix = BlockQuantized(bits, block_size, 2 * block_size, codes, scales).dequantized()
    assert np.allclose(quantize(matrix, bits, block_size).dequantized(), matrix, rtol=1e-5)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("block_size", [32, 64, 128])
def test_searched_scales_lose_less_than_plain_ones(bits: int, block_size: int) -> None:
    matrix = np.random.default_rng(0).standard_normal((64, 512)).astype(np.float32)
    searched = np.square(quantize(matrix, bits, block_size).dequantized() - matrix).mean()
    assert searched < (0.92 if bits == 4 else 1.0) * np.square(plain(matrix, bits, block_size) - matrix).mean()


def test_each_block_of_a_few_weights_has_the_best_scale_there_is() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((1, 16)).astype(np.float32)
    found = np.square(quantize(matrix, 4, 16).dequantized() - matrix).sum()
    scales = np.linspace(-1, 1, 20_001)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        rounded = np.clip(np.rint(matrix / scales), -8, 7) * scales
    best = np.nanmin(np.square(rounded - matrix).sum(1))
    assert found <= 1.03 * best


def test_packing_puts_the_first_of_a_pair_into_the_low_half() -> None:
    codes = np.arange(16, dtype=np.uint8).reshape(1, 1, 16)
    packed = BlockQuantized(4, 16, 16, codes, np.ones((1, 1), np.float32)).packed
    assert packed.tolist() == [[[0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE]]]


def test_zeros_stay_zeros_and_odd_widths_are_padded() -> None:
    quantized = quantize(np.zeros((3, 40), np.float32), 4, 32)
    assert quantized.codes.shape == (3, 2, 32)
    assert np.array_equal(quantized.dequantized(), np.zeros((3, 40), np.float32))


@pytest.mark.parametrize(("bits", "block_size"), [(5, 32), (4, 8), (4, 48)])
def test_sizes_the_kernels_do_not_take_are_refused(bits: int, block_size: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        quantize(np.ones((1, 32), np.float32), bits, block_size)
