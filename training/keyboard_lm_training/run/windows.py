"""The order of training windows: a function of the step alone, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import ConfigError, DataError
from keyboard_lm_training.run.block_cache import CachedShard


class Shard(Protocol):
    """Token ids: a mapped file, an array, or what a block cache holds."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...


_FEISTEL_ROUNDS = 4


def permute(indices: NDArray[np.uint64], size: int, key: int) -> NDArray[np.uint64]:
    """Return a pseudo-random permutation of ``range(size)``, evaluated at `indices`, in constant memory.

    A Feistel network over the next power of four, walked until it lands inside (Black & Rogaway 2002, "Ciphers with
    arbitrary finite domains").

    Args:
        indices: values below `size`.
        size: length of the permuted range.
        key: selects the permutation.
    """
    half_bits = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half_bits) - 1)
    shift = np.uint64(half_bits)
    round_keys = np.random.default_rng(key).integers(0, 1 << 63, size=_FEISTEL_ROUNDS, dtype=np.uint64)
    values = indices.astype(np.uint64)
    walking = np.ones(len(values), dtype=bool)
    while walking.any():
        left, right = values[walking] >> shift, values[walking] & mask
        for round_key in round_keys:
            left, right = right, left ^ (_mix(right + round_key) & mask)
        values[walking] = (left << shift) | right
        walking = values >= size
    return values


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # The finaliser of SplitMix64 (Steele et al. 2014); array arithmetic wraps, which is what it wants.
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@dataclass(frozen=True)
class _Source:
    name: str
    shards: tuple[Shard, ...]
    windows_before: NDArray[np.int64]  # windows in the shards before each one, and in all of them last
    windows_per_epoch: int


class WindowSampler:
    """Draws training windows from weighted sources.

    An epoch holds each source's windows as many times as its weight says (a share of them below 1, another share in
    the next epoch) in pseudo-random order.

    Args:
        sources: the shards of each source by name.
        weights: how often an epoch visits each source; 1 where not given.
        seq_len: tokens per window (T); a window has one more, the last target.
        bos_id: put in front of each window, which starts at the beginning of a message.
        eos_id: ends a message.
        seed: of the order.
        vocab_size: ids are below it; a window that holds another is refused. None checks nothing.

    Raises:
        DataError: no source has a whole window.
    """

    def __init__(
        self,
        sources: Mapping[str, Sequence[Shard]],
        weights: Mapping[str, float],
        seq_len: int,
        bos_id: int,
        eos_id: int,
        seed: int,
        vocab_size: int | None = None,
    ) -> None:
        self.seq_len = seq_len
        self._vocab_size = vocab_size
        self._bos_id, self._eos_id, self._seed = bos_id, eos_id, seed
        self._sources: list[_Source] = []
        for name, shards in sources.items():
            usable = tuple(shard for shard in shards if len(shard) > seq_len)
            counts = [(len(shard) - 1) // seq_len for shard in usable]
            if usable and weights.get(name, 1.0) > 0:
                per_epoch = max(1, round(sum(counts) * weights.get(name, 1.0)))
                self._sources.append(_Source(name, usable, np.cumsum([0, *counts]), per_epoch))
        if not self._sources:
            raise DataError(f"no source has {seq_len + 1} tokens; give more text or a smaller --seq-len")
        self._ends = np.cumsum([source.windows_per_epoch for source in self._sources])
        self.windows_per_epoch = int(self._ends[-1])

    def batch(self, start: int, count: int) -> NDArray[np.int64]:
        """Return windows `start` to `start + count` of the endless order, (count, seq_len + 1).

        Raises:
            DataError: a shard is damaged: it holds an id that is none.
        """
        return self.windows_at(np.arange(start, start + count, dtype=np.int64))

    def windows_at(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the windows of these numbers of the endless order, (count, seq_len + 1).

        Raises:
            DataError: a shard is damaged: it holds an id that is none.
        """
        count = len(order)
        epochs, places = np.divmod(order, self.windows_per_epoch)
        drawn = np.empty(count, dtype=np.int64)
        for epoch in np.unique(epochs):
            rows = epochs == epoch
            drawn[rows] = permute(places[rows].astype(np.uint64), self.windows_per_epoch, self._seed + int(epoch))
        windows = np.empty((count, self.seq_len + 1), dtype=np.int64)
        found: list[tuple[Shard, int]] = []
        for epoch, place in zip(epochs, drawn, strict=True):
            number = int(np.searchsorted(self._ends, place, side="right"))
            source = self._sources[number]
            first = int(self._ends[number]) - source.windows_per_epoch
            # Where an epoch takes only a share of a source, the next epoch goes on where this one ended.
            index = (int(epoch) * source.windows_per_epoch + int(place) - first) % int(source.windows_before[-1])
            found.append(self._place(source, index))
        self._prefetch(found)
        for row, (shard, start) in enumerate(found):
            windows[row] = window_at(shard, start, self.seq_len, self._bos_id, self._eos_id)
        if self._vocab_size is not None and int(windows.max(initial=0)) >= self._vocab_size:
            raise DataError(
                f"a training shard holds id {int(windows.max())}, but there are {self._vocab_size} pieces: it is "
                "damaged; run keyboard-lm corpus again"
            )
        return windows

    def _place(self, source: _Source, index: int) -> tuple[Shard, int]:
        number = int(np.searchsorted(source.windows_before, index, side="right")) - 1
        return source.shards[number], (index - int(source.windows_before[number])) * self.seq_len

    def _prefetch(self, found: Sequence[tuple[Shard, int]]) -> None:
        # One request for a batch: one for each window would wait for the store each time. A window begins with the
        # first message at or after its place, so it may reach over its length.
        cached = [(shard, start) for shard, start in found if isinstance(shard, CachedShard)]
        if cached:
            ranges = [shard.byte_range(start - 1, start + 2 * self.seq_len) for shard, start in cached]
            cached[0][0].cache.prefetch(ranges)


class RepeatedWindows:
    """The first windows of an order again and again, each time in an order of its own, with fresh ones between.

    What a big teacher has to say is stored for so many windows only; a student learns from them several times, and from
    text that it has not seen in between. Blocks of `BLOCK_WINDOWS` places are of one kind.

    Args:
        sampler: the order.
        num_windows: how many of its windows are repeated.
        seed: of the orders.
        fresh_share: share of the places that windows behind those take, each once.

    Raises:
        ConfigError: the share is not between 0 and 1, 1 left out.
    """

    BLOCK_WINDOWS = 32

    def __init__(self, sampler: WindowSampler, num_windows: int, seed: int, fresh_share: float = 0.0) -> None:
        if not 0 <= fresh_share < 1:
            raise ConfigError(f"the share of fresh windows must be at least 0 and below 1, not {fresh_share}")
        self.seq_len = sampler.seq_len
        self.windows_per_epoch = num_windows
        self.fresh_share = fresh_share
        self.sampler, self._seed = sampler, seed

    def numbers(self, start: int, count: int) -> NDArray[np.int64]:
        """Return which of the sampler's windows come at places `start` to `start + count`, (count,)."""
        places = np.arange(start, start + count, dtype=np.int64)
        blocks, offsets = np.divmod(places, self.BLOCK_WINDOWS)
        fresh_before = self._fresh_before(blocks)  # (count,)
        is_fresh = self._fresh_before(blocks + 1) > fresh_before
        passes, old = np.divmod((blocks - fresh_before) * self.BLOCK_WINDOWS + offsets, self.windows_per_epoch)
        numbers: NDArray[np.int64] = np.where(
            is_fresh, self.windows_per_epoch + fresh_before * self.BLOCK_WINDOWS + offsets, old
        )
        for number in np.unique(passes[(passes > 0) & ~is_fresh]):  # the first pass as they lie
            rows = (passes == number) & ~is_fresh
            key = self._seed + int(number)
            numbers[rows] = permute(old[rows].astype(np.uint64), self.windows_per_epoch, key).astype(np.int64)
        return numbers

    def _fresh_before(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        counts: NDArray[np.int64] = np.floor(blocks * self.fresh_share).astype(np.int64)
        return counts

    def batch(self, start: int, count: int) -> NDArray[np.int64]:
        """Return the windows at places `start` to `start + count`, (count, seq_len + 1); see `WindowSampler.batch`."""
        return self.sampler.windows_at(self.numbers(start, count))


def window_at(shard: Shard, start: int, seq_len: int, bos_id: int, eos_id: int) -> NDArray[np.int64]:
    """Return `seq_len` + 1 tokens of `shard` that begin with ``<s>`` and the first message at or after `start`.

    A message longer than a window is cut where the window falls; the last window of a shard ends with it.
    """
    if start:
        ends = np.flatnonzero(shard[start - 1 : start + seq_len - 1] == eos_id)
        start += int(ends[0]) if len(ends) else 0
    start = min(start, len(shard) - seq_len)
    if shard[start] == bos_id and start + seq_len < len(shard):
        whole: NDArray[np.int64] = shard[start : start + seq_len + 1].astype(np.int64)
        return whole
    return np.concatenate(([bos_id], shard[start : start + seq_len].astype(np.int64)))
