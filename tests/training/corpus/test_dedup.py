"""Laws of de-duplication: the spill files give what a dictionary in memory would."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import rensa
from hypothesis import given, settings
from hypothesis import strategies as st
from keyboard_lm_training.corpus import dedup
from keyboard_lm_training.corpus.shingles import SHINGLE_WORDS, shingle_hashes

KEYS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**58, 2**63, 2**64 - 1])


def records(keys: list[int]) -> dedup.Records:
    return np.array([(key, item) for item, key in enumerate(keys)], dedup.KEY)


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from([3, 4, 5, 2**63, 2**64 - 1]), max_size=12), max_size=6), st.integers(1, 20))
def test_every_record_but_the_first_of_its_key_is_a_repeat_of_that_one(parts: list[list[int]], batch: int) -> None:
    found = {}
    for repeats in dedup.find_repeats(((n, records(keys)) for n, keys in enumerate(parts)), batch_records=batch):
        for fields in zip(
            repeats.parts, repeats.records["item"], repeats.first_parts, repeats.first_values, strict=True
        ):
            part, item, *first = map(int, fields)
            assert (part, item) not in found
            found[part, item] = tuple(first)
    expected, first_of = {}, dict[int, tuple[int, int]]()
    for part, keys in enumerate(parts):
        for item, key in enumerate(keys):
            if first_of.setdefault(key, (part, item)) != (part, item):
                expected[part, item] = first_of[key]
    assert found == expected


@given(st.lists(KEYS, max_size=60), st.sampled_from([1, 2, 8, 4096]))
def test_partitions_are_ranges_of_keys(keys: list[int], num_partitions: int) -> None:
    found = dedup.partition_of(np.array(keys, np.uint64), num_partitions)
    assert found.tolist() == [key * num_partitions >> 64 for key in keys]


@given(st.lists(st.integers(0, 40), max_size=30), st.sets(st.integers(0, 40)))
def test_what_is_gone_is_left_out(items: list[int], gone: set[int]) -> None:
    given_records = np.array([(0, item) for item in items], dedup.KEY)
    left = dedup.without(given_records, "item", np.array(sorted(gone), np.uint32))
    assert left["item"].tolist() == [item for item in items if item not in gone]


def document(rng: random.Random, num_words: int = 120) -> list[str]:
    return [" ".join(f"w{rng.randrange(5000)}" for _ in range(num_words // 4)) for _ in range(4)]


def shingles(messages: list[str]) -> set[tuple[str, ...]]:
    words = " ".join(messages).split()
    return {tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)}


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
    folder: Path, documents: list[list[str]], threshold: float, gone: tuple[int, ...] = ()
) -> list[int]:
    signatures = dedup.near_signatures(documents)
    bands = np.zeros((len(documents), dedup.NUM_BANDS), dedup.BAND_KEY)
    bands["key"] = dedup.band_keys(signatures)
    bands["item"] = bands["row"] = np.arange(len(documents), dtype=np.uint32)[:, None]
    left = dedup.without(bands.reshape(-1), "item", np.array(gone, np.uint32))
    dropped = set()
    for repeats in dedup.find_repeats([(0, left)], "row"):
        agree = dedup.agreement(signatures[repeats.records["row"]], signatures[repeats.first_values])
        dropped |= set(repeats.records["item"][agree >= threshold].tolist())
    return sorted(dropped)


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
    assert near_duplicates(tmp_path, [original, original], 0.8, gone=(0,)) == []


def test_letter_case_does_not_hide_a_near_duplicate() -> None:
    rng = random.Random(4)
    original = document(rng)
    upper = [message.upper() for message in original]
    assert np.array_equal(*dedup.near_signatures([original, upper]))


def test_a_long_document_is_signed_in_stretches_to_the_same_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(6)
    documents = [
        document(rng, 400),
        document(rng, 40),
        ["few words"],
        ["a b\u2003c\x1fd", "e f\xa0g h"],
        [" ".join("abcdef")],
    ]
    whole = dedup.near_signatures(documents)
    monkeypatch.setattr(dedup, "_CHARS_AT_ONCE", 0)
    monkeypatch.setattr(dedup, "_WORDS_AT_ONCE", 5)
    assert np.array_equal(dedup.near_signatures(documents), whole)


TEXTS = st.lists(
    st.text("ab é\u2003\x1f\t", max_size=60) | st.text(max_size=200) | st.text("a ", max_size=3000), max_size=8
)


def joined_shingles(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[i : i + SHINGLE_WORDS]) for i in range(max(1, len(words) - SHINGLE_WORDS + 1))]


@given(TEXTS, st.integers(0, 3000))
def test_shingles_hash_as_rensa_hashes_them(texts: list[str], num_letters: int) -> None:
    texts = [*texts, "x" * num_letters + " y", "ends with the blanks of another  "]

    def hash_tokens(tokens: Sequence[bytes]) -> list[int]:
        hashes: list[int] = rensa.RMinHash.hash_token_sets([tokens])[0]
        return hashes

    found = shingle_hashes(texts, hash_tokens)
    for number, text in enumerate(texts):
        own = found.hashes[found.offsets[number] : found.offsets[number + 1]]
        assert own.tolist() == hash_tokens([shingle.encode() for shingle in joined_shingles(text)])


@given(st.lists(st.lists(st.text("ab É\u2003\x1f", max_size=80), max_size=3), min_size=1, max_size=5))
def test_signatures_are_those_that_rensa_gives_the_shingles(documents: list[list[str]]) -> None:
    sets = [joined_shingles(" ".join(messages).lower()) for messages in documents]
    rows = rensa.RMinHash.digest_matrix_from_token_sets(sets, dedup.NUM_PERMUTATIONS, seed=0).to_rows()
    assert dedup.near_signatures(documents).tolist() == rows
