"""Laws of de-duplication: the spill files give what a dictionary in memory would."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyboard_lm_training.corpus import dedup

KEYS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**58, 2**63, 2**64 - 1])


def items(values: object) -> dedup.Items:
    return np.array(values, np.uint64)


def members(bitmap: dedup.Bitmap, count: int) -> list[int]:
    return np.flatnonzero(bitmap.contains(np.arange(count, dtype=np.uint64))).tolist()


@settings(max_examples=60)
@given(st.lists(st.sets(st.integers(0, 30_000), max_size=20), max_size=5), st.sets(st.integers(0, 60_000)))
def test_bitmap_equals_a_set(batches: list[set[int]], probes: set[int]) -> None:
    bitmap = dedup.Bitmap()
    for batch in batches:
        bitmap.add(items(sorted(batch)))
    expected = set().union(*batches)
    found = bitmap.contains(items(sorted(probes)))
    assert found.tolist() == [probe in expected for probe in sorted(probes)]


@settings(max_examples=60)
@given(st.lists(KEYS, max_size=60), st.sampled_from([0, 100, 1 << 20]))
def test_every_document_but_the_first_of_its_key_is_dropped(
    tmp_path_factory: pytest.TempPathFactory, keys: list[int], buffer_bytes: int
) -> None:
    spill = dedup.KeySpill(tmp_path_factory.mktemp("spill"), "d", dedup.KEY, buffer_bytes)
    for item, key in enumerate(keys):
        spill.add(np.array([(key, item)], dedup.KEY))
    dropped = dedup.Bitmap()
    dedup.resolve_documents(spill, dropped)
    assert members(dropped, len(keys)) == [i for i, key in enumerate(keys) if key in keys[:i]]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(100, 103)), max_size=30), st.sets(st.integers(100, 103)))
def test_a_message_is_dropped_only_for_one_in_a_kept_document(
    tmp_path_factory: pytest.TempPathFactory, messages: list[tuple[int, int]], gone: set[int]
) -> None:
    spill = dedup.KeySpill(tmp_path_factory.mktemp("spill"), "m", dedup.MESSAGE_KEY)
    spill.add(np.array([(key, item, document) for item, (key, document) in enumerate(messages)], dedup.MESSAGE_KEY))
    dropped_documents = dedup.Bitmap()
    dropped_documents.add(items(sorted(gone)))
    dropped = dedup.Bitmap()
    dedup.resolve_messages(spill, (dropped_documents, dedup.Bitmap()), dropped)
    kept_keys: set[int] = set()
    expected = []
    for item, (key, document) in enumerate(messages):
        if document in gone:
            continue
        if key in kept_keys:
            expected.append(item)
        kept_keys.add(key)
    assert members(dropped, len(messages)) == expected


def test_the_spill_keeps_no_more_in_memory_than_its_buffer(tmp_path: Path) -> None:
    spill = dedup.KeySpill(tmp_path, "d", dedup.KEY, buffer_bytes=1000)
    rng = np.random.default_rng(0)
    for start in range(0, 5000, 50):
        records = np.zeros(50, dedup.KEY)
        records["key"] = rng.integers(0, 2**63, 50)
        records["item"] = np.arange(start, start + 50)
        spill.add(records)
        assert spill.buffered_bytes <= 1000 + records.nbytes
    assert sum(len(part) for part in spill.partitions()) == 5000
    assert not list(tmp_path.iterdir())


def document(rng: random.Random, num_words: int = 120) -> list[str]:
    return [" ".join(f"w{rng.randrange(5000)}" for _ in range(num_words // 4)) for _ in range(4)]


def shingles(messages: list[str]) -> set[tuple[str, ...]]:
    words = " ".join(messages).split()
    return {tuple(words[i : i + dedup.SHINGLE_WORDS]) for i in range(len(words) - dedup.SHINGLE_WORDS + 1)}


def jaccard(a: list[str], b: list[str]) -> float:
    left, right = shingles(a), shingles(b)
    return len(left & right) / len(left | right)


def edited(rng: random.Random, messages: list[str], num_edits: int) -> list[str]:
    words = [message.split() for message in messages]
    for _ in range(num_edits):
        line = rng.choice(words)
        line[rng.randrange(len(line))] = f"edit{rng.randrange(10**6)}"
    return [" ".join(line) for line in words]


def near_duplicates(
    folder: Path, documents: list[list[str]], threshold: float, exact: tuple[int, ...] = ()
) -> list[int]:
    signatures = dedup.near_signatures(documents)
    file = folder / "signatures.u32"
    file.write_bytes(signatures.astype("<u4").tobytes())
    records = np.zeros((len(documents), dedup.NUM_BANDS), dedup.BAND_KEY)
    records["key"] = dedup.band_keys(signatures)
    records["item"] = records["row"] = np.arange(len(documents), dtype=np.uint64)[:, None]
    spill = dedup.KeySpill(folder, "bands", dedup.BAND_KEY)
    spill.add(records.reshape(-1))
    already, dropped = dedup.Bitmap(), dedup.Bitmap()
    already.add(items(exact))
    dedup.resolve_near_documents(spill, file, threshold, already, dropped)
    return members(dropped, len(documents))


def test_lightly_edited_documents_are_dropped_and_different_ones_kept(tmp_path: Path) -> None:
    rng = random.Random(1)
    originals = [document(rng) for _ in range(40)]
    light = [edited(rng, original, 1) for original in originals]
    heavy = [edited(rng, original, 12) for original in originals]
    assert min(map(jaccard, originals, light)) > 0.9
    assert max(map(jaccard, originals, heavy)) < 0.6
    dropped = near_duplicates(tmp_path, [*originals, *light, *heavy], 0.8)
    assert dropped == list(range(40, 80))


def test_what_is_dropped_is_as_similar_as_the_threshold_says(tmp_path: Path) -> None:
    rng = random.Random(2)
    originals = [document(rng) for _ in range(30)]
    copies = [edited(rng, original, rng.randrange(10)) for original in originals]
    dropped = near_duplicates(tmp_path, [*originals, *copies], 0.8)
    for index, (original, copy) in enumerate(zip(originals, copies, strict=True)):
        # 120 permutations estimate a similarity with a standard deviation of at most 0.05.
        if jaccard(original, copy) < 0.65:
            assert 30 + index not in dropped
        if jaccard(original, copy) > 0.95:
            assert 30 + index in dropped


def test_nothing_is_a_near_duplicate_of_a_document_that_is_gone(tmp_path: Path) -> None:
    rng = random.Random(3)
    original = document(rng)
    assert near_duplicates(tmp_path, [original, original], 0.8) == [1]
    assert near_duplicates(tmp_path, [original, original], 0.8, exact=(0,)) == []


def test_letter_case_does_not_hide_a_near_duplicate() -> None:
    rng = random.Random(4)
    original = document(rng)
    upper = [message.upper() for message in original]
    assert np.array_equal(*dedup.near_signatures([original, upper]))
