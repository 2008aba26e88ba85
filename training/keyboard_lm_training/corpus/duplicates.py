"""Stages that find duplicates: by hash partition, then by part what the partitions found there.

Documents come first, then near duplicates among those that are left, then messages of the documents that are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from keyboard_lm_training.corpus import dedup
from keyboard_lm_training.corpus.cleaning import KEY_TYPES
from keyboard_lm_training.corpus.sliced import Records, SlicedWriter, read_slices, slice_pieces
from keyboard_lm_training.corpus.work import Values, Work

_MAX_KEYS = 1 << 22  # different keys in memory; a partition that may have more is read several times
_COMPARE_PAIRS = 1 << 15
_SIGNATURE_BYTES = 4 * dedup.NUM_PERMUTATIONS
_GAP_BYTES = 1 << 16  # rows this close are read together


def exact_documents(work: Work, partition: int) -> Values:
    """Find the documents of a partition whose text an earlier document has."""
    writer = SlicedWriter("<u4", len(work.parts))
    for repeats in _repeats(work, "documents", partition, ()):
        writer.add(repeats.records["item"], repeats.parts)
    writer.save(work.storage, f"exact/{partition}")
    return {}


def exact_of_part(work: Work, part: int) -> Values:
    """Gather the duplicate documents of a part."""
    return _save_numbers(work, f"gone_exact/{part}", work.partition_slices("exact", part, "<u4"))


def near_pairs(work: Work, partition: int) -> Values:
    """Pair each document of a partition of bands with the first one that has the band."""
    writer = SlicedWriter(dedup.PAIR, len(work.parts))
    for repeats in _repeats(work, "bands", partition, ("gone_exact",), "row"):
        pairs = np.empty(len(repeats.parts), dedup.PAIR)
        pairs["item"], pairs["row"] = repeats.records["item"], repeats.records["row"]
        pairs["first_part"], pairs["first_row"] = repeats.first_parts, repeats.first_values
        writer.add(pairs, repeats.parts)
    writer.save(work.storage, f"near/{partition}")
    return {}


def near_of_part(work: Work, part: int) -> Values:
    """Drop the documents of a part whose signature agrees with that of the first one in one of its bands."""
    threshold = work.recipe.dedup.threshold
    gone = np.zeros(0, np.uint32)
    for found in work.partition_slices("near", part, dedup.PAIR):
        for start in range(0, len(found), _COMPARE_PAIRS):
            pairs = dedup.without(found[start : start + _COMPARE_PAIRS], "item", gone)
            own = _signatures(work, np.full(len(pairs), part, np.uint32), pairs["row"])
            first = _signatures(work, pairs["first_part"], pairs["first_row"])
            near = pairs["item"][dedup.agreement(own, first) >= threshold]
            gone = np.union1d(gone, near)
    work.storage.write(f"gone_near/{part}", gone.astype("<u4").tobytes())
    return {}


def exact_messages(work: Work, partition: int) -> Values:
    """Find the messages of a partition that an earlier message of a kept document equals."""
    writer = SlicedWriter("<u4", len(work.parts))
    for repeats in _repeats(work, "messages", partition, _gone_folders(work), gone_field="document"):
        writer.add(repeats.records["item"], repeats.parts)
    writer.save(work.storage, f"repeated/{partition}")
    return {}


def _gone_folders(work: Work) -> tuple[str, ...]:
    return ("gone_exact", "gone_near") if work.recipe.dedup.near_duplicates else ("gone_exact",)


def gone_documents(work: Work, part: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Return the exact and the near duplicates among the documents of a part."""
    near = work.numbers(f"gone_near/{part}") if work.recipe.dedup.near_duplicates else np.zeros(0, np.uint32)
    return work.numbers(f"gone_exact/{part}"), near


def _repeats(
    work: Work, kind: str, partition: int, gone: tuple[str, ...], value: str = "item", gone_field: str = "item"
) -> Iterator[dedup.Repeats]:
    names = work.part_files(kind)
    size = sum(end - start for _, start, end in slice_pieces(work.storage, names, partition))
    passes = 1
    while passes * _MAX_KEYS * KEY_TYPES[kind].itemsize < size:
        passes *= 2

    def slices(number: int) -> Iterator[tuple[int, Records]]:
        for part, records in enumerate(read_slices(work.storage, names, partition, KEY_TYPES[kind])):
            if passes > 1:  # by the key's bits below those of the partition
                bits = records["key"] * np.uint64(work.num_partitions)
                records = records[dedup.partition_of(bits, passes) == number]
            for folder in gone if len(records) else ():
                records = dedup.without(records, gone_field, work.numbers(f"{folder}/{part}"))
            yield part, records

    for number in range(passes):
        yield from dedup.find_repeats(slices(number), value)


def _signatures(work: Work, parts: npt.NDArray[np.uint32], rows: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Read signatures: (len(parts), permutations). Each is read once, those close together in one piece."""
    wanted, index = np.unique(parts.astype(np.uint64) << np.uint64(32) | rows, return_inverse=True)
    where = [(int(number >> np.uint64(32)), int(number & np.uint64(0xFFFFFFFF))) for number in wanted]
    pieces: list[list[int]] = []  # part, first row, row after the last
    for part, row in where:
        if pieces and pieces[-1][0] == part and (row - pieces[-1][2]) * _SIGNATURE_BYTES <= _GAP_BYTES:
            pieces[-1][2] = row + 1
        else:
            pieces.append([part, row, row + 1])
    data = work.storage.read_pieces(
        [(f"signatures/{part}", first * _SIGNATURE_BYTES, end * _SIGNATURE_BYTES) for part, first, end in pieces]
    )
    found = np.empty((len(wanted), dedup.NUM_PERMUTATIONS), np.uint32)
    at = 0
    for (part, first, end), content in zip(pieces, data, strict=True):
        matrix = np.frombuffer(content, "<u4").reshape(-1, dedup.NUM_PERMUTATIONS)
        count = at
        while count < len(where) and where[count][0] == part and where[count][1] < end:
            count += 1
        found[at:count] = matrix[[row - first for _, row in where[at:count]]]
        at = count
    return found[index]


def _save_numbers(work: Work, name: str, slices: Iterable[Records]) -> Values:
    numbers = list(slices)
    joined = np.sort(np.concatenate(numbers)) if numbers else np.zeros(0, np.uint32)
    work.storage.write(name, joined.astype("<u4").tobytes())
    return {}
