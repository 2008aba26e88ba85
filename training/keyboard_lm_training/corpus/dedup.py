"""Duplicate documents and messages, found with keys on disk and one bit per item in memory.

An *item* is a message or a document; items are numbered in reading order. Keys go to hash-partitioned spill files, and
each partition is resolved on its own, so memory holds one partition and a bitmap, whatever the size of the corpus.

Near duplicates: MinHash over word shingles and banding (Broder 1997, "On the resemblance and containment of
documents"; Leskovec et al., "Mining of Massive Datasets", section 3.4). A document that shares a band with an earlier
one is compared with it, and dropped when the signatures agree on at least the threshold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from keyboard_lm.errors import MissingExtraError

PARTITION_BITS = 8
NUM_PARTITIONS = 1 << PARTITION_BITS
SPILL_BUFFER_BYTES = 64 * 1024 * 1024
NUM_BANDS = 20
BAND_ROWS = 6  # with 20 bands: 99.6 % of pairs at similarity 0.8 share a band, 27 % at 0.5 (which the check rejects)
NUM_PERMUTATIONS = NUM_BANDS * BAND_ROWS
SHINGLE_WORDS = 5
_COMPARE_PAIRS = 1 << 16

Bits = npt.NDArray[np.uint8]
Items = npt.NDArray[np.uint64]
Records = npt.NDArray[Any]

KEY = np.dtype([("key", "<u8"), ("item", "<u8")])
MESSAGE_KEY = np.dtype([("key", "<u8"), ("item", "<u8"), ("document", "<u8")])
BAND_KEY = np.dtype([("key", "<u8"), ("item", "<u8"), ("row", "<u8")])


@dataclass(frozen=True, slots=True)
class DedupOptions:
    """What counts as a duplicate.

    Attributes:
        min_exact_chars: shorter messages and documents may repeat: "See you soon" is no accident.
        near_duplicates: whether near-duplicate documents are looked for.
        threshold: the Jaccard similarity of word 5-grams from which two documents are near duplicates.
        min_near_words: shorter documents are not compared; one edit changes most of their shingles.
    """

    min_exact_chars: int = 60
    near_duplicates: bool = True
    threshold: float = 0.8
    min_near_words: int = 30

    def mistakes(self) -> list[str]:
        """Return what is wrong with the values, in words."""
        found = []
        if self.min_exact_chars < 0:
            found.append(f"min_exact_chars must not be negative, not {self.min_exact_chars}")
        if not 0.5 <= self.threshold <= 1:
            found.append(f"threshold must be between 0.5 and 1, not {self.threshold}")
        if self.min_near_words < SHINGLE_WORDS:
            found.append(f"min_near_words must be at least {SHINGLE_WORDS}, not {self.min_near_words}")
        return found


class Bitmap:
    """A growing set of item numbers at one bit each."""

    def __init__(self) -> None:
        self._bits: Bits = np.zeros(1024, np.uint8)

    def add(self, items: Items) -> None:
        """Put items into the set."""
        if not len(items):
            return
        needed = int(items.max()) // 8 + 1
        if needed > len(self._bits):
            self._bits = np.concatenate([self._bits, np.zeros(max(needed, len(self._bits)), np.uint8)])
        np.bitwise_or.at(self._bits, (items >> np.uint64(3)).astype(np.int64), _bit_of(items))

    def contains(self, items: Items) -> npt.NDArray[np.bool_]:
        """Return for each item whether it is in the set."""
        positions = (items >> np.uint64(3)).astype(np.int64)
        inside = positions < len(self._bits)
        found = np.zeros(len(items), np.bool_)
        found[inside] = (self._bits[positions[inside]] & _bit_of(items[inside])) != 0
        return found


def _bit_of(items: Items) -> Bits:
    return np.left_shift(1, (items & np.uint64(7)).astype(np.uint8), dtype=np.uint8)


class KeySpill:
    """Records on disk, partitioned by the top bits of their key.

    Args:
        folder: an existing folder for the partition files.
        name: distinguishes several spills in one folder.
        dtype: a structured type with the fields ``key`` and ``item``.
        buffer_bytes: records wait in memory until they take more than this.
    """

    def __init__(self, folder: Path, name: str, dtype: np.dtype[Any], buffer_bytes: int = SPILL_BUFFER_BYTES) -> None:
        self._files = [folder / f"{name}-{index:03}.keys" for index in range(NUM_PARTITIONS)]
        self._dtype = dtype
        self._buffered: list[Records] = []
        self.buffered_bytes = 0
        self._buffer_bytes = buffer_bytes

    def add(self, records: Records) -> None:
        """Append records; they reach the disk in large writes."""
        self._buffered.append(records)
        self.buffered_bytes += records.nbytes
        if self.buffered_bytes > self._buffer_bytes:
            self._flush()

    def _flush(self) -> None:
        if not self._buffered:
            return
        records = np.concatenate(self._buffered)
        self._buffered, self.buffered_bytes = [], 0
        partition = (records["key"] >> np.uint64(64 - PARTITION_BITS)).astype(np.int64)
        order = np.argsort(partition, kind="stable")
        bounds = np.searchsorted(partition[order], np.arange(NUM_PARTITIONS + 1))
        for index, file in enumerate(self._files):
            part = records[order[bounds[index] : bounds[index + 1]]]
            if len(part):
                with file.open("ab") as stream:
                    stream.write(part.tobytes())

    def partitions(self) -> Iterator[Records]:
        """Yield each partition sorted by key, then item; its file is deleted when the next one is asked for."""
        self._flush()
        for file in self._files:
            if file.exists():
                records = np.fromfile(file, self._dtype)
                yield records[np.lexsort((records["item"], records["key"]))]
                file.unlink()


def resolve_documents(spill: KeySpill, dropped: Bitmap) -> None:
    """Add to `dropped` every document whose key an earlier document has."""
    for records in spill.partitions():
        dropped.add(records["item"][_first_of_group(records) < np.arange(len(records))])


def resolve_messages(spill: KeySpill, dropped_documents: Sequence[Bitmap], dropped: Bitmap) -> None:
    """Add to `dropped` every message that an earlier message of a kept document equals."""
    for records in spill.partitions():
        gone = np.zeros(len(records), np.bool_)
        for bitmap in dropped_documents:
            gone |= bitmap.contains(records["document"])
        records = records[~gone]
        dropped.add(records["item"][_first_of_group(records) < np.arange(len(records))])


def resolve_near_documents(spill: KeySpill, signatures: Path, threshold: float, exact: Bitmap, dropped: Bitmap) -> None:
    """Add to `dropped` every document whose signature agrees with that of the first document in one of its bands.

    Args:
        spill: `BAND_KEY` records.
        signatures: rows of `NUM_PERMUTATIONS` little-endian uint32.
        threshold: share of equal signature entries, the estimate of the Jaccard similarity.
        exact: documents already dropped; nothing is compared with them.
        dropped: receives the near duplicates.
    """
    if not signatures.exists() or not signatures.stat().st_size:
        return
    rows = np.memmap(signatures, "<u4", "r").reshape(-1, NUM_PERMUTATIONS)  # (documents, permutations)
    for records in spill.partitions():
        records = records[~exact.contains(records["item"])]
        first = _first_of_group(records)
        repeats = np.flatnonzero(first < np.arange(len(records)))
        for start in range(0, len(repeats), _COMPARE_PAIRS):
            chunk = repeats[start : start + _COMPARE_PAIRS]
            chunk = chunk[~dropped.contains(records["item"][chunk])]
            agree = rows[records["row"][chunk]] == rows[records["row"][first[chunk]]]  # (pairs, permutations)
            dropped.add(records["item"][chunk[agree.mean(axis=1) >= threshold]])


def _first_of_group(records: Records) -> npt.NDArray[np.int64]:
    """Return for each record, sorted by key, the index of the first one with its key."""
    indices = np.arange(len(records))
    if len(records):
        keys = records["key"]
        indices[1:][keys[1:] == keys[:-1]] = 0
        indices = np.maximum.accumulate(indices)
    return indices


def text_key(text: bytes) -> int:
    """Return a 64-bit key of a text; 10^10 texts have about 3 accidental matches."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def near_signatures(documents: Sequence[Sequence[str]]) -> npt.NDArray[np.uint32]:
    """Return the MinHash signatures of documents given as messages.

    Returns:
        uint32, (documents, `NUM_PERMUTATIONS`).

    Raises:
        MissingExtraError: rensa is not installed.
    """
    if not documents:
        return np.zeros((0, NUM_PERMUTATIONS), np.uint32)
    shingles = []
    for messages in documents:
        words = " ".join(messages).lower().split()
        count = max(1, len(words) - SHINGLE_WORDS + 1)
        shingles.append([" ".join(words[i : i + SHINGLE_WORDS]) for i in range(count)])
    matrix = _rensa().RMinHash.digest_matrix_from_token_sets(shingles, NUM_PERMUTATIONS, seed=0)
    return np.array(matrix.to_rows(), np.uint32)


def band_keys(signatures: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """Return one 64-bit key per band of each signature: (documents, `NUM_BANDS`)."""
    bands = np.ascontiguousarray(signatures, "<u4").reshape(len(signatures), NUM_BANDS, BAND_ROWS)
    keys = [
        [text_key(bytes([index]) + band.tobytes()) for index, band in enumerate(document)] for document in bands
    ]  # fmt: skip
    return np.array(keys, np.uint64).reshape(len(signatures), NUM_BANDS)


@cache
def _rensa() -> Any:
    try:
        import rensa
    except ImportError:
        raise MissingExtraError("rensa", "train") from None
    return rensa
