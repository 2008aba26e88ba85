"""Choosing the code of each weight, of a look-up table or of a block, so that errors make up for each other.

A weight's rounding error changes the outputs by the input it multiplies, and inputs go together: what one column does
to the outputs, those after it can undo for the most part. Columns are rounded one after the other, and each error is
spread over the columns to come by the inverse of the inputs' second moments (Frantar et al. 2022, "GPTQ"; Hassibi &
Stork 1993, "Optimal brain surgeon"). Weights that lie on their tables have no error, and stay.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.quantize.blockwise import BlockQuantized, best_scales
from keyboard_lm.quantize.palettes import Palettized

Float32 = NDArray[np.float32]

_BLOCK = 64  # columns whose errors are spread at once, by a matrix product
# Of the mean moment, added to the diagonal: inputs that are hardly ever seen must not move weights far. From 1e-6 to
# 0.1 the bundled model's KL divergence at 4 bits is the same (0.017 nats), and the largest change of a matrix falls
# from 72 % to 13 %.
_FLOOR = 0.01


def compensated(matrix: NDArray[np.floating], palette: Palettized, moments: Float32, num_tokens: int) -> Palettized:
    """Return a matrix's palettization with the same tables and better codes.

    Args:
        matrix: the weights, (N, K).
        palette: theirs; its codes are not looked at.
        moments: mean of x x^T over the inputs, (K, K).
        num_tokens: that it was taken over; with few, less is believed of which inputs go together.
    """
    num_rows, num_columns = matrix.shape
    spread = _spread(moments, num_tokens)  # (K, K), upper
    tables = palette.tables.astype(np.float32)  # (G, 2^bits)
    size = num_rows // len(tables)
    middles: Float32 = np.repeat((tables[:, 1:] + tables[:, :-1]) * np.float32(0.5), size, axis=0)  # (N, 2^bits - 1)
    tables = np.repeat(tables, size, axis=0)  # (N, 2^bits)
    rest = matrix.astype(np.float32)  # what is still to be rounded, errors of earlier columns included
    codes = np.empty(matrix.shape, np.uint8)
    rows = np.arange(num_rows)
    for start in range(0, num_columns, _BLOCK):
        stop = min(start + _BLOCK, num_columns)
        errors = np.empty((num_rows, stop - start), np.float32)
        for column in range(start, stop):
            values = rest[:, column]
            chosen = _nearest(values, middles, palette.bits)  # (N,)
            codes[:, column] = chosen
            error = (values - tables[rows, chosen]) / spread[column, column]  # (N,)
            errors[:, column - start] = error
            rest[:, column + 1 : stop] -= error[:, None] * spread[column, column + 1 : stop]
        rest[:, stop:] -= errors @ spread[start:stop, stop:]
    return Palettized(palette.bits, codes, palette.tables)


def compensated_blocks(
    matrix: NDArray[np.floating], bits: int, block_size: int, moments: Float32, num_tokens: int
) -> BlockQuantized:
    """Return a matrix in blocks whose codes make up for each other's errors.

    The scales of a block are those that lose least of what its weights are once the errors before it are spread.

    Args:
        matrix: the weights, (N, K).
        bits: 4 or 8.
        block_size: a power of two, at least 16.
        moments: mean of x x^T over the inputs, (K, K).
        num_tokens: that it was taken over.
    """
    num_rows, num_columns = matrix.shape
    spread = _spread(moments, num_tokens)  # (K, K), upper
    zero_point = 1 << bits - 1
    rest = matrix.astype(np.float32)  # what is still to be rounded, errors of earlier columns included
    num_blocks = -(-num_columns // block_size)
    codes = np.full((num_rows, num_blocks, block_size), zero_point, np.uint8)
    scales = np.empty((num_rows, num_blocks), np.float32)
    for block in range(num_blocks):
        start, stop = block * block_size, min((block + 1) * block_size, num_columns)
        padded = np.zeros((num_rows, block_size), np.float32)
        padded[:, : stop - start] = rest[:, start:stop]
        scales[:, block] = scale = best_scales(padded, bits)  # (N,)
        errors = np.empty((num_rows, stop - start), np.float32)
        for column in range(start, stop):
            values = rest[:, column]
            levels = np.clip(np.rint(values / scale), -zero_point, zero_point - 1)  # (N,)
            codes[:, block, column - start] = levels + zero_point
            error = (values - levels * scale) / spread[column, column]  # (N,)
            errors[:, column - start] = error
            rest[:, column + 1 : stop] -= error[:, None] * spread[column, column + 1 : stop]
        rest[:, stop:] -= errors @ spread[start:stop, stop:]
    return BlockQuantized(bits, block_size, num_columns, codes, scales)


def _spread(moments: Float32, num_tokens: int) -> Float32:
    # The upper factor of the moments' inverse. Moments of few tokens are drawn towards their diagonal.
    size = len(moments)
    doubted = size / (size + num_tokens)
    wide = moments.astype(np.float64) * (1 - doubted)
    diagonal = moments.diagonal().astype(np.float64)
    np.fill_diagonal(wide, diagonal + _FLOOR * max(float(diagonal.mean()), 1e-30))
    upper: Float32 = np.linalg.cholesky(np.linalg.inv(wide)).T.astype(np.float32)
    return upper


def _nearest(values: Float32, middles: Float32, bits: int) -> NDArray[np.intp]:
    # How many of its row's middles (N, 2^bits - 1) each value (N,) is over, by halving.
    rows = np.arange(len(values))
    found = np.zeros(len(values), np.intp)
    for bit in reversed(range(bits)):
        higher = found + (1 << bit)
        found = np.where(values > middles[rows, higher - 1], higher, found)
    return found
