"""Shards in an object store, read a block at a time and kept on the local disk.

A window is a few hundred bytes and a request takes as long as reading a million, so what a batch lacks is fetched in
one call, and every block that was paid for serves the windows that fall into it later. Processes of one machine share
the folder: a block appears by rename, and two that fetch the same one write the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keyboard_lm.errors import DataError
from keyboard_lm.files import write_file_whole
from keyboard_lm_training.corpus.shards import TOKEN, ShardRecord
from keyboard_lm_training.storage import Storage

BLOCK_BYTES = 64 * 1024  # some 250 windows of 128 tokens; the first batch touches as many blocks as it has windows
DEFAULT_CACHE_BYTES = 20 * 1024**3
_Block = tuple[str, int]


def default_cache_folder() -> Path:
    """Return where blocks are kept unless told otherwise."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "keyboard-lm" / "blocks"


class BlockCache:
    """Blocks of the shards of one corpus.

    Args:
        storage: where the corpus lies.
        shards: its shards; their digests name the blocks, so that a corpus made again is not mistaken for an older one.
        folder: on the local disk.
        max_bytes: the oldest blocks go where the folder holds more than this.

    Attributes:
        fetched_bytes: read from the storage so far, by this process.
    """

    def __init__(
        self, storage: Storage, shards: Iterable[ShardRecord], folder: Path, max_bytes: int = DEFAULT_CACHE_BYTES
    ) -> None:
        self._storage, self._folder, self._max_bytes = storage, folder, max_bytes
        self._sizes = {shard.file: shard.num_tokens * TOKEN.itemsize for shard in shards}
        self._digests = {shard.file: shard.sha256 for shard in shards}
        self.fetched_bytes = 0
        self._unchecked_bytes = max_bytes // 20  # so that a run begins with a look at what others left
        self._make_room()

    def prefetch(self, ranges: Iterable[tuple[str, int, int]]) -> None:
        """Fetch what is missing of some (file, first byte, end) in one request.

        Raises:
            DataError: the storage cannot be read, or the local folder not written.
        """
        wanted: dict[_Block, None] = {}
        for file, start, end in ranges:
            for number in range(start // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
                wanted[file, number] = None
        missing = [block for block in wanted if not self._path(block).is_file()]
        if not missing:
            return
        pieces = [
            (file, number * BLOCK_BYTES, min(self._sizes[file], (number + 1) * BLOCK_BYTES)) for file, number in missing
        ]
        for block, data in zip(missing, self._storage.read_pieces(pieces), strict=True):
            path = self._path(block)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DataError(
                    f"{path.parent}: cannot be made ({error.strerror}); give another --data-cache"
                ) from None
            write_file_whole(path, data)
            self.fetched_bytes += len(data)
            self._unchecked_bytes += len(data)
        self._make_room()

    def read(self, file: str, start: int, end: int) -> bytes:
        """Return bytes `start` to `end` of a shard.

        Raises:
            DataError: see `prefetch`.
        """
        parts = []
        for number in range(start // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
            path = self._path((file, number))
            try:
                block = path.read_bytes()
            except OSError:  # never fetched, or gone to make room
                self.prefetch([(file, number * BLOCK_BYTES, number * BLOCK_BYTES + 1)])
                block = path.read_bytes()
            first = number * BLOCK_BYTES
            parts.append(block[max(0, start - first) : end - first])
        return b"".join(parts)

    def _path(self, block: _Block) -> Path:
        file, number = block
        return self._folder / self._digests[file][:32] / f"{number:08d}"

    def _make_room(self) -> None:
        # A look at the whole folder only every so often: it has 16,000 files a gigabyte.
        if self._unchecked_bytes < self._max_bytes // 20 or not self._folder.is_dir():
            return
        self._unchecked_bytes = 0
        found = []
        for path in self._folder.glob("*/*"):
            try:
                status = path.stat()
            except OSError:
                continue  # another process made room as well
            found.append((status.st_mtime_ns, status.st_size, path))
        excess = sum(size for _, size, _ in found) - self._max_bytes
        for _, size, path in sorted(found):
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= size


class CachedShard:
    """A shard's token ids behind a block cache; slices are arrays, as a mapped file's are.

    Args:
        cache: of its corpus.
        shard: which one.
    """

    def __init__(self, cache: BlockCache, shard: ShardRecord) -> None:
        self.cache, self._file, self._num_tokens = cache, shard.file, shard.num_tokens

    def __len__(self) -> int:
        return self._num_tokens

    def __getitem__(self, key: int | slice) -> Any:
        """Return a token id, or those of a slice without steps, uint16."""
        if isinstance(key, slice):
            start, end, step = key.indices(self._num_tokens)
            if step != 1:
                raise ValueError("tokens of a cached shard are read in order")
            return self._tokens(start, max(start, end))
        index = int(key) + (self._num_tokens if key < 0 else 0)
        if not 0 <= index < self._num_tokens:
            raise IndexError(f"token {key} of {self._num_tokens}")
        return self._tokens(index, index + 1)[0]

    def byte_range(self, start: int, end: int) -> tuple[str, int, int]:
        """Return what `BlockCache.prefetch` is asked for tokens `start` to `end`, cut where the shard ends."""
        first, last = max(0, start), min(end, self._num_tokens)
        return self._file, first * TOKEN.itemsize, last * TOKEN.itemsize

    def _tokens(self, start: int, end: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
        return np.frombuffer(self.cache.read(*self.byte_range(start, end)), TOKEN)
