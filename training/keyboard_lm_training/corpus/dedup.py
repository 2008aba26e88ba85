"""What makes documents and messages duplicates: keys, signatures, and who of those with the same key came first.

An *item* is a message or a document; the items of a part of the corpus are numbered in reading order. Records of the
same key lie in the same hash partition, and each partition is resolved on its own, whatever the size of the corpus.

Near duplicates: MinHash over word shingles and banding (Broder 1997, "On the resemblance and containment of
documents"; Leskovec et al., "Mining of Massive Datasets", section 3.4). A document that shares a band with an earlier
one is compared with it, and dropped when the signatures agree on at least the threshold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from keyboard_lm.errors import MissingExtraError
from keyboard_lm_training.corpus.shingles import SHINGLE_WORDS, shingle_hashes

NUM_BANDS = 20
BAND_ROWS = 6  # with 20 bands: 99.6 % of pairs at similarity 0.8 share a band, 27 % at 0.5 (which the check rejects)
NUM_PERMUTATIONS = NUM_BANDS * BAND_ROWS
BATCH_RECORDS = 1 << 20
_CHARS_AT_ONCE = 1 << 20  # of one document; a longer one is signed in stretches, whose minimum is its signature
_WORDS_AT_ONCE = 1 << 16

Records = npt.NDArray[Any]
Numbers = npt.NDArray[np.uint32]

KEY = np.dtype([("key", "<u8"), ("item", "<u4")])
MESSAGE_KEY = np.dtype([("key", "<u8"), ("item", "<u4"), ("document", "<u4")])
BAND_KEY = np.dtype([("key", "<u8"), ("item", "<u4"), ("row", "<u4")])
PAIR = np.dtype([("item", "<u4"), ("row", "<u4"), ("first_part", "<u4"), ("first_row", "<u4")])


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


@dataclass(frozen=True, slots=True)
class Repeats:
    """Records whose key came before, and where it came first.

    Attributes:
        parts: the part of each record.
        records: the records.
        first_parts: the part in which the key came first.
        first_values: there, the value that `find_repeats` was asked for.
    """

    parts: Numbers
    records: Records
    first_parts: Numbers
    first_values: Numbers


def find_repeats(
    slices: Iterable[tuple[int, Records]], value: str = "item", batch_records: int = BATCH_RECORDS
) -> Iterator[Repeats]:
    """Yield the records whose key an earlier record has; memory holds one entry for each different key.

    Args:
        slices: (part, records) in the order that decides who is first.
        value: the field to be told about the first one.
        batch_records: how many records are sorted at a time; no part of the result.
    """
    keys, parts, values = np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(0, np.uint32)
    for batch_parts, records in _batches(slices, batch_records):
        order = np.argsort(records["key"], kind="stable")
        batch_parts, records = batch_parts[order], records[order]
        batch_keys, batch_values = records["key"].copy(), records[value]
        first = _first_of_group(records)
        at = np.searchsorted(keys, batch_keys)
        is_known = np.zeros(len(records), np.bool_)
        inside = at < len(keys)
        is_known[inside] = keys[at[inside]] == batch_keys[inside]
        is_first = first == np.arange(len(records))
        again = np.flatnonzero(is_known | ~is_first)
        if len(again):
            known = is_known[again]
            first_parts, first_values = batch_parts[first[again]], batch_values[first[again]]
            first_parts[known], first_values[known] = parts[at[again[known]]], values[at[again[known]]]
            yield Repeats(batch_parts[again], records[again], first_parts, first_values)
        new = ~is_known & is_first
        keys = np.concatenate([keys, batch_keys[new]])
        order = np.argsort(keys, kind="stable")  # two sorted runs: a merge
        keys = keys[order]
        parts = np.concatenate([parts, batch_parts[new]])[order]
        values = np.concatenate([values, batch_values[new]])[order]


def _batches(slices: Iterable[tuple[int, Records]], batch_records: int) -> Iterator[tuple[Numbers, Records]]:
    waiting: list[tuple[int, Records]] = []
    count = 0
    for part, records in slices:
        for start in range(0, len(records), batch_records):
            waiting.append((part, records[start : start + batch_records]))
            count += len(waiting[-1][1])
            if count >= batch_records:
                yield _joined(waiting)
                waiting, count = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(slices: Sequence[tuple[int, Records]]) -> tuple[Numbers, Records]:
    parts = [np.full(len(records), part, np.uint32) for part, records in slices]
    return np.concatenate(parts), np.concatenate([records for _, records in slices])


def partition_of(keys: npt.NDArray[np.uint64], num_partitions: int) -> npt.NDArray[np.int64]:
    """Return the partition of each key; `num_partitions` is a power of two."""
    bits = num_partitions.bit_length() - 1
    return (keys >> np.uint64(1) >> np.uint64(63 - bits)).astype(np.int64)  # two shifts: one by 64 is undefined


def without(records: Records, field: str, gone: Numbers) -> Records:
    """Return the records whose field is not among the sorted numbers `gone`."""
    if not len(gone) or not len(records):
        return records
    at = np.minimum(np.searchsorted(gone, records[field]), len(gone) - 1)
    left: Records = records[gone[at] != records[field]]
    return left


def agreement(left: npt.NDArray[np.uint32], right: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
    """Return the share of equal entries of signatures, the estimate of the Jaccard similarity: (pairs,).

    Args:
        left, right: (pairs, `NUM_PERMUTATIONS`).
    """
    share: npt.NDArray[np.float64] = (left == right).mean(axis=1)
    return share


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
    signatures = np.zeros((len(documents), NUM_PERMUTATIONS), np.uint32)
    rows, texts = [], []
    for row, messages in enumerate(documents):
        if sum(map(len, messages)) <= _CHARS_AT_ONCE:
            rows.append(row)
            texts.append(" ".join(messages).lower())
        else:
            words = (word for message in messages for word in message.lower().split())
            signatures[row] = np.minimum.reduce([_signed([text])[0] for text in _stretches(words)])
    if texts:
        signatures[rows] = _signed(texts)
    return signatures


def _stretches(words: Iterator[str]) -> Iterator[str]:
    """Yield a long text in pieces that share what a shingle across a border takes; as words it takes ten times more."""
    before: list[str] = []
    while stretch := [*islice(words, _WORDS_AT_ONCE)]:
        yield " ".join([*before, *stretch])
        before = [*before, *stretch][1 - SHINGLE_WORDS :]


def _signed(texts: Sequence[str]) -> npt.NDArray[np.uint32]:
    rensa = _rensa().RMinHash
    found = shingle_hashes(texts, lambda tokens: rensa.hash_token_sets([tokens])[0])
    matrix = rensa.digest_matrix_from_flat_token_hashes(found.hashes, found.offsets, NUM_PERMUTATIONS, seed=0)
    return np.array(matrix.to_rows(), np.uint32)


def band_keys(signatures: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """Return one 64-bit key per band of each signature: (documents, `NUM_BANDS`).

    Two bands that are unlike share a key once in 2^64; the signatures are compared anyway.
    """
    bands = signatures.reshape(len(signatures), NUM_BANDS, BAND_ROWS).astype(np.uint64)
    keys = np.broadcast_to(np.arange(NUM_BANDS, dtype=np.uint64), bands.shape[:2])
    for row in range(BAND_ROWS):
        keys = _mixed(keys ^ bands[:, :, row])
    return keys


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return numbers of which each bit depends on all of theirs, one to one.

    Source: the finaliser of SplitMix64, Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
    """
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


@cache
def _rensa() -> Any:
    try:
        import rensa
    except ImportError:
        raise MissingExtraError("rensa", "train") from None
    return rensa
