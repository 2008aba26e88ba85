"""Palettization: each weight becomes an index into a small table of values, one table for each group of rows.

The tables are the weighted 1-D k-means of each group's weights, so that the weights which matter (see `importance`)
move least. Up to 16 values start from the best joining of a fine partition; Lloyd's steps then run on sorted weights
with prefix sums (a cluster is an interval, its mean two differences), for all groups of a tensor at once: seconds for a
network for which a general k-means takes minutes. Training (palettes to train against) and the Core ML export (palettes
to ship) use the same tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

BITS = (1, 2, 3, 4, 6, 8)  # index widths that Core ML has
_MAX_STEPS = 60
_SETTLED = 1e-4  # a step that lowers the error by less than this share is the last
_CHUNK_WEIGHTS = 1 << 20  # sorted at once: about 200 MB of work space
_MOST_EXACT = 16  # clusters; with more, the density alone places them well
_CELLS_PER_CLUSTER = 6


@dataclass(frozen=True)
class Palettized:
    """One matrix (N, K) as indices into a table for each group of rows.

    Attributes:
        bits: of an index.
        codes: (N, K), uint8.
        tables: (G, 2^bits), fp16, ascending; N / G consecutive rows share one.
    """

    bits: int
    codes: NDArray[np.uint8]
    tables: NDArray[np.float16]

    @property
    def group_size(self) -> int:
        """Rows that share a table."""
        return len(self.codes) // len(self.tables)

    @property
    def num_bytes(self) -> int:
        """Size of the packed indices with their tables."""
        return self.codes.size * self.bits // 8 + self.tables.nbytes

    def dequantized(self) -> Float32:
        """Return the matrix that the indices stand for, (N, K)."""
        grouped = self.codes.reshape(len(self.tables), -1)  # (G, N / G * K)
        values: Float32 = np.take_along_axis(self.tables, grouped.astype(np.intp), 1).astype(np.float32)
        return values.reshape(self.codes.shape)


def palettize(
    matrix: NDArray[np.floating], bits: int, group_size: int, importance: Float32 | None = None
) -> Palettized:
    """Palettize a matrix (N, K) with the tables that minimise its weighted squared error.

    Args:
        matrix: the weights.
        bits: of an index, one of `BITS`.
        group_size: rows that share a table; 0 for all. Cut to the largest divisor of N that is no larger.
        importance: what one squared error at each weight costs, (K,) or (N, K), at least 0; by default the same.

    Raises:
        ValueError: `bits` is not one that Core ML has, or the weights are not finite.
    """
    if bits not in BITS:
        raise ValueError(f"bits must be one of {', '.join(map(str, BITS))}, not {bits}")
    if not np.isfinite(matrix).all():
        raise ValueError("weights must be finite")
    num_rows, num_columns = matrix.shape
    size = _divisor(num_rows, group_size or num_rows)
    groups = np.ascontiguousarray(matrix, np.float32).reshape(-1, size * num_columns)  # (G, n)
    codes = np.empty(groups.shape, np.uint8)
    tables = np.empty((len(groups), 1 << bits), np.float16)
    cost = None if importance is None else np.broadcast_to(importance, matrix.shape).reshape(groups.shape)
    step = max(1, _CHUNK_WEIGHTS // groups.shape[1])
    for start in range(0, len(groups), step):
        rows = slice(start, start + step)
        tables[rows] = weighted_kmeans(groups[rows], 1 << bits, None if cost is None else cost[rows])
        codes[rows] = nearest(groups[rows], tables[rows].astype(np.float32))
    return Palettized(bits, codes.reshape(matrix.shape), tables)


def weighted_kmeans(values: Float32, num_clusters: int, cost: Float32 | None = None) -> NDArray[np.float16]:
    """Return the centres of a 1-D k-means of each row, (G, num_clusters), ascending, rounded to fp16.

    A row of no more values than centres keeps them all, so that palettized weights are palettized without loss.

    Args:
        values: (G, n).
        num_clusters: centres per row.
        cost: weight of each value, (G, n), at least 0.
    """
    num_groups, length = values.shape
    order = values.argsort(axis=1)  # (G, n)
    x = np.take_along_axis(values, order, 1).astype(np.float64)  # (G, n), ascending
    w = np.ones_like(x) if cost is None else np.take_along_axis(cost, order, 1).astype(np.float64) + 1e-12  # (G, n)
    zero = np.zeros((num_groups, 1))
    sum_w = np.concatenate((zero, w.cumsum(1)), 1)  # (G, n + 1)
    sum_wx = np.concatenate((zero, (w * x).cumsum(1)), 1)  # (G, n + 1)
    sum_wxx = float((w * x * x).sum())
    # Rows laid end to end, so that one search serves all.
    span = float(x[:, -1].max() - x[:, 0].min()) * 2 + 1.0
    shift = np.arange(num_groups)[:, None] * span - x[:, :1].min()  # (G, 1)
    line = (x + shift).ravel()
    base = np.arange(num_groups)[:, None] * length  # (G, 1)
    centres = _first_centres(x, w, num_clusters)  # (G, k)
    last = np.inf
    for _ in range(_MAX_STEPS):
        middles = (centres[:, 1:] + centres[:, :-1]) / 2  # (G, k - 1)
        cuts = np.searchsorted(line, (middles + shift).ravel()).reshape(middles.shape) - base  # (G, k - 1)
        ends = np.concatenate((np.zeros((num_groups, 1), np.intp), cuts, np.full((num_groups, 1), length)), 1)
        mass = np.diff(np.take_along_axis(sum_w, ends, 1))  # (G, k)
        moment = np.diff(np.take_along_axis(sum_wx, ends, 1))  # (G, k)
        centres = np.where(mass > 0, moment / np.where(mass > 0, mass, 1.0), centres)
        centres.sort(axis=1)
        error = sum_wxx - float((np.where(mass > 0, moment**2 / np.where(mass > 0, mass, 1.0), 0.0)).sum())
        if last - error <= _SETTLED * abs(error):
            break
        last = error
    for group in np.flatnonzero((np.diff(x, axis=1) > 0).sum(1) < num_clusters):
        distinct = np.unique(x[group])
        centres[group] = np.append(distinct, np.full(num_clusters - len(distinct), distinct[-1]))
    return centres.astype(np.float16)


def nearest(values: Float32, centres: Float32) -> NDArray[np.uint8]:
    """Return the index of the nearest of each row's ascending centres (G, k) for values (G, n)."""
    codes = np.empty(values.shape, np.uint8)
    middles = (centres[:, 1:] + centres[:, :-1]) / 2  # (G, k - 1)
    for group, row in enumerate(values):
        codes[group] = np.searchsorted(middles[group], row)
    return codes


def _first_centres(x: NDArray[np.float64], w: NDArray[np.float64], num_clusters: int) -> NDArray[np.float64]:
    # For many clusters the best density of centres goes with the cube root of that of the values (Panter & Dite 1951).
    # Bins over the range keep a rare far value from being missed.
    num_groups = len(x)
    bins = 8 * num_clusters
    low, high = x[:, :1], x[:, -1:]
    width = np.maximum(high - low, 1e-12)
    which = np.minimum(((x - low) / width * bins).astype(np.intp), bins - 1) + np.arange(num_groups)[:, None] * bins
    density = np.bincount(which.ravel(), w.ravel(), num_groups * bins).reshape(num_groups, bins)  # (G, bins)
    share = np.cbrt(density).cumsum(1)
    share /= share[:, -1:]
    cells = num_clusters if num_clusters > _MOST_EXACT else _CELLS_PER_CLUSTER * num_clusters
    wanted = (np.arange(cells) + 0.5) / cells  # (cells,)
    edges = (np.arange(bins) + 0.5) / bins
    points = np.stack([np.interp(wanted, share[group], edges) for group in range(num_groups)]) * width + low
    return points if cells == num_clusters else _best_of_cells(x, w, points, num_clusters)


def _best_of_cells(
    x: NDArray[np.float64], w: NDArray[np.float64], points: NDArray[np.float64], num_clusters: int
) -> NDArray[np.float64]:
    # The best way to join neighbouring cells, each the values nearest to one of `points` (G, cells), to clusters, by
    # dynamic programming over where the last one starts (Wang & Song 2011, "Ckmeans.1d.dp"); returns the means, (G, k).
    num_groups, cells = points.shape
    middles = (points[:, 1:] + points[:, :-1]) / 2
    which = np.stack([np.searchsorted(middles[group], x[group]) for group in range(num_groups)])  # (G, n)
    which += np.arange(num_groups)[:, None] * cells
    sums = [np.zeros((num_groups, cells + 1)) for _ in range(3)]
    for total, terms in zip(sums, (w, w * x, w * x * x), strict=True):
        total[:, 1:] = np.bincount(which.ravel(), terms.ravel(), num_groups * cells).reshape(-1, cells).cumsum(1)
    mass, moment, square = (total[:, None, :] - total[:, :, None] for total in sums)  # (G, first cell, end)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(mass > 0, moment / mass, 0.0)
    cost = np.where(np.tri(cells + 1, k=-1, dtype=np.bool_), np.inf, square - moment * means)  # (G, first cell, end)
    least = cost[:, 0]  # (G, end), by the clusters so far
    starts = np.zeros((num_clusters, num_groups, cells + 1), np.intp)
    for cluster in range(1, num_clusters):
        through = least[:, :, None] + cost  # (G, first cell, end)
        starts[cluster] = through.argmin(axis=1)
        least = np.take_along_axis(through, starts[cluster][:, None], 1)[:, 0]
    centres = np.empty((num_groups, num_clusters))
    end = np.full(num_groups, cells)
    groups = np.arange(num_groups)
    for cluster in range(num_clusters - 1, -1, -1):
        start = starts[cluster, groups, end]
        empty = mass[groups, start, end] <= 0
        centres[:, cluster] = np.where(empty, x[:, -1], means[groups, start, end])
        end = start
    return np.sort(centres, axis=1)


def _divisor(total: int, largest: int) -> int:
    return next(size for size in range(min(total, largest), 0, -1) if total % size == 0)
