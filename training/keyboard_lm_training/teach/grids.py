"""The values that 4-bit weights may take, fixed while a network is tuned to live on them.

A grid is made once from the weights a run starts from, so that it is a function of them alone and a stopped run needs
no state of it. Tuning moves weights from one value of the grid to another; the exporters fit their own, almost the same
one, to the tuned weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from keyboard_lm.network.tensor_names import TABLE
from keyboard_lm.quantize.blockwise import quantize
from keyboard_lm.quantize.palettes import palettize


@dataclass(frozen=True)
class PaletteStorage:
    """Core ML's: look-up tables. The defaults are those of `export-coreml --bits 4`.

    Attributes:
        bits: of a weight of the layers.
        group_size: rows that share a look-up table; 0 for all.
        table_bits: of a weight of the tied table, which takes most of the damage.
        table_group_size: its rows that share one.
    """

    bits: int = 4
    group_size: int = 16
    table_bits: int = 6
    table_group_size: int = 64

    def rule_for(self, name: str) -> tuple[int, int]:
        """Return bits and group size of a matrix."""
        return (self.table_bits, self.table_group_size) if name == TABLE else (self.bits, self.group_size)


@dataclass(frozen=True)
class BlockStorage:
    """ONNX Runtime's: a scale for each block of a row. The defaults are those of `export-onnx`.

    Attributes:
        bits: of a weight.
        block_size: weights that share a scale.
    """

    bits: int = 4
    block_size: int = 32


Storage = PaletteStorage | BlockStorage


class Grid(Protocol):
    """The quantization of one matrix."""

    def nearest(self, weight: Tensor) -> Tensor:
        """Return a weight (N, K) with each value replaced by the nearest of the grid."""


@dataclass(frozen=True)
class PaletteGrid:
    """Look-up tables, one for each group of rows.

    Attributes:
        values: (G, 2^bits), ascending.
        middles: (G, 2^bits - 1), where the nearest value changes.
    """

    values: Tensor
    middles: Tensor

    @classmethod
    def fit(cls, weight: NDArray[np.floating], bits: int, group_size: int, device: torch.device) -> PaletteGrid:
        """Return the k-means of a matrix (N, K), a table for every `group_size` rows (0: one for all)."""
        values = torch.from_numpy(palettize(weight, bits, group_size).tables.astype(np.float32)).to(device)  # (G, 2^b)
        return cls(values, (values[:, 1:] + values[:, :-1]) / 2)

    def nearest(self, weight: Tensor) -> Tensor:
        grouped = weight.reshape(len(self.values), -1)  # (G, N / G * K)
        return self.values.gather(1, torch.searchsorted(self.middles, grouped)).view_as(weight)


@dataclass(frozen=True)
class BlockGrid:
    """Whole multiples of a scale for each block of a row, as ONNX Runtime has them.

    Attributes:
        bits: of a multiple; there are 2^(bits - 1) on the negative side and one less on the other.
        block_size: weights that share a scale.
        scales: (N, blocks, 1).
    """

    bits: int
    block_size: int
    scales: Tensor

    @classmethod
    def fit(cls, weight: NDArray[np.floating], bits: int, block_size: int, device: torch.device) -> BlockGrid:
        """Return the scales of a matrix (N, K) that lose least."""
        scales = quantize(weight, bits, block_size).scales
        return cls(bits, block_size, torch.from_numpy(scales).to(device).unsqueeze(-1))

    def nearest(self, weight: Tensor) -> Tensor:
        rows, columns = weight.shape
        padded = torch.nn.functional.pad(weight, (0, -columns % self.block_size))  # (N, padded K)
        blocks = padded.view(rows, -1, self.block_size)  # (N, blocks, block_size)
        limit = 1 << self.bits - 1
        levels = (blocks / self.scales).round_().clamp_(-limit, limit - 1)  # (N, blocks, block_size)
        return (levels * self.scales).view(rows, -1)[:, :columns]


def fit_grids(storage: Storage, weights: Mapping[str, NDArray[np.floating]], device: torch.device) -> dict[str, Grid]:
    """Return the grid of each matrix by name."""
    grids: dict[str, Grid] = {}
    for name, weight in weights.items():
        if weight.ndim != 2:
            continue
        if isinstance(storage, PaletteStorage):
            grids[name] = PaletteGrid.fit(weight, *storage.rule_for(name), device)
        else:
            grids[name] = BlockGrid.fit(weight, storage.bits, storage.block_size, device)
    return grids


def stored(storage: Storage, weights: Mapping[str, NDArray[np.floating]]) -> dict[str, NDArray[np.float32]]:
    """Return the weights that an exporter's stored ones stand for, with grids of its own making; norms stay."""
    result = {}
    for name, weight in weights.items():
        if weight.ndim != 2:
            result[name] = weight.astype(np.float32)
        elif isinstance(storage, PaletteStorage):
            result[name] = palettize(weight, *storage.rule_for(name)).dequantized()
        else:
            result[name] = quantize(weight, storage.bits, storage.block_size).dequantized()
    return result
