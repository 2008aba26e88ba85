"""A file of records cut into numbered slices: what one task writes for each of the tasks that read it.

The file starts with the byte offset of every slice and of the end (uint64). A reader takes its slice alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from keyboard_lm_training.storage import Storage

BUFFER_BYTES = 32 << 20
_FILES_PER_REQUEST = 256
_OFFSET = np.dtype("<u8")

Records = npt.NDArray[Any]


class SlicedWriter:
    """Collects records for a sliced file, in bounded memory: what is over waits on this machine's disk.

    Args:
        dtype: of the records.
        num_slices: slices of the file.
        buffer_bytes: records wait in memory until they take more than this.
    """

    def __init__(self, dtype: npt.DTypeLike, num_slices: int, buffer_bytes: int = BUFFER_BYTES) -> None:
        self._dtype = np.dtype(dtype)
        self._num_slices = num_slices
        self._buffer_bytes = buffer_bytes
        self._buffered: list[tuple[Records, npt.NDArray[np.int64]]] = []
        self.buffered_bytes = 0
        self._runs: list[tuple[IO[bytes], npt.NDArray[np.int64]]] = []

    def add(self, records: Records, slices: npt.NDArray[np.integer[Any]]) -> None:
        """Append records; within a slice they keep the order in which they came.

        Args:
            records: of the writer's type.
            slices: the slice of each.
        """
        if not len(records):
            return
        self._buffered.append((records, slices.astype(np.int64)))
        self.buffered_bytes += records.nbytes
        if self.buffered_bytes > self._buffer_bytes:
            data, bounds = self._sorted()
            run = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `save`)
            run.write(data)
            self._runs.append((run, bounds))

    def _sorted(self) -> tuple[bytes, npt.NDArray[np.int64]]:
        """Return the buffered records by slice, and where each slice starts in bytes."""
        if not self._buffered:
            return b"", np.zeros(self._num_slices + 1, np.int64)
        records = np.concatenate([records for records, _ in self._buffered])
        slices = np.concatenate([slices for _, slices in self._buffered])
        self._buffered, self.buffered_bytes = [], 0
        order = np.argsort(slices, kind="stable")
        bounds = np.searchsorted(slices[order], np.arange(self._num_slices + 1)) * self._dtype.itemsize
        return records[order].tobytes(), bounds

    def save(self, storage: Storage, name: str) -> int:
        """Write the file; return its bytes.

        Raises:
            WriteError: the storage cannot be written.
        """
        last, bounds = self._sorted()
        offsets = sum((run_bounds for _, run_bounds in self._runs), bounds) + (self._num_slices + 1) * _OFFSET.itemsize
        with storage.replaced(name) as stream:
            stream.write(offsets.astype(_OFFSET).tobytes())
            if not self._runs:
                stream.write(last)
            for index in range(self._num_slices if self._runs else 0):
                for run, run_bounds in self._runs:
                    run.seek(run_bounds[index])
                    stream.write(run.read(run_bounds[index + 1] - run_bounds[index]))
                stream.write(last[bounds[index] : bounds[index + 1]])
        for run, _ in self._runs:
            run.close()
        self._runs = []
        return int(offsets[-1])


def read_slices(storage: Storage, names: Sequence[str], index: int, dtype: npt.DTypeLike) -> Iterator[Records]:
    """Yield one slice of each file, in the order of the names.

    Raises:
        DataError: a file is missing or truncated.
    """
    for start in range(0, len(names), _FILES_PER_REQUEST):
        some = names[start : start + _FILES_PER_REQUEST]
        for data in storage.read_pieces(slice_pieces(storage, some, index)):
            yield np.frombuffer(data, dtype)


def slice_pieces(storage: Storage, names: Sequence[str], index: int) -> list[tuple[str, int, int]]:
    """Return where one slice lies in each file: (name, start, end)."""
    at = index * _OFFSET.itemsize
    heads = storage.read_pieces([(name, at, at + 2 * _OFFSET.itemsize) for name in names])
    bounds = [np.frombuffer(head, _OFFSET).tolist() for head in heads]
    return [(name, start, end) for name, (start, end) in zip(names, bounds, strict=True)]
