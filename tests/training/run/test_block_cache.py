"""Shards behind a block cache are the shards."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keyboard_lm_training.corpus.shards import HELDOUT, TRAIN, CorpusManifest, ShardRecord, ShardWriter, SourceRecord
from keyboard_lm_training.run import block_cache
from keyboard_lm_training.run.block_cache import BlockCache, CachedShard
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.storage import Storage, open_storage

from keyboard_lm.errors import DataError
from keyboard_lm.network.tokenizer import Tokenizer

pytest.importorskip("fsspec")


class CountedStorage:
    """Counts the requests that reach a storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self.requests = storage, 0

    def read_pieces(self, pieces: Any) -> list[bytes]:
        self.requests += 1
        return self._storage.read_pieces(pieces)


@pytest.fixture
def place(tiny_corpus: Path) -> str:
    """The tiny corpus in an object store."""
    url = f"memory://{uuid.uuid4().hex}"
    storage = open_storage(url)
    for path in tiny_corpus.rglob("*"):
        if path.is_file():
            storage.write(str(path.relative_to(tiny_corpus)), path.read_bytes())
    return url


def test_windows_from_a_store_are_those_from_the_disk(place: str, tiny_corpus: Path, tmp_path: Path) -> None:
    remote = TrainingData.load(place, 16, 1, tmp_path / "cache")
    local = TrainingData.load(tiny_corpus, 16, 1)
    assert remote.digest == local.digest
    assert np.array_equal(remote.sampler.batch(0, 200), local.sampler.batch(0, 200))
    for there, here in zip(remote.heldout, local.heldout, strict=True):
        assert np.array_equal(there.tokens[:64], here.tokens[:64])
        assert len(there.tokens) == len(here.tokens)


def test_slices_are_a_mapped_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_cache, "BLOCK_BYTES", 10)  # five tokens
    tokens = np.arange(23, dtype="<u2") * 7
    (tmp_path / "a.bin").write_bytes(tokens.tobytes())
    record = ShardRecord("a.bin", "s", TRAIN, 23, 1, 1, "ab" * 32)
    shard = CachedShard(BlockCache(open_storage(tmp_path), [record], tmp_path / "cache"), record)
    for start in range(-24, 25):
        for end in (*range(-24, 25), None):
            assert np.array_equal(shard[start:end], tokens[start:end]), (start, end)
    assert [shard[index] for index in (0, 4, 5, 22, -1)] == [tokens[index] for index in (0, 4, 5, 22, -1)]
    with pytest.raises(IndexError):
        shard[23]


def test_a_batch_is_one_request_and_is_paid_for_once(place: str, tmp_path: Path) -> None:
    data = TrainingData.load(place, 16, 1, tmp_path / "cache")
    cache = next(shard for source in data.sampler._sources for shard in source.shards).cache
    counted = CountedStorage(cache._storage)
    cache._storage = counted
    data.sampler.batch(0, 64)
    assert counted.requests == 1
    data.sampler.batch(0, 64)
    again = TrainingData.load(place, 16, 1, tmp_path / "cache")
    other = next(shard for source in again.sampler._sources for shard in source.shards).cache
    again.sampler.batch(0, 64)
    assert (counted.requests, other.fetched_bytes) == (1, 0)


def test_the_first_step_reads_a_hundredth_of_a_corpus(
    tiny_tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 64 windows of 128 tokens, the default step, touch about as many blocks; blocks and corpus are a sixteenth of what
    # they would be.
    monkeypatch.setattr(block_cache, "BLOCK_BYTES", 4096)
    rng = np.random.default_rng(0)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    tiny_tokenizer.save(corpus)
    shards = []
    for split, count in ((TRAIN, 16_000_000), (HELDOUT, 1000)):
        writer = ShardWriter(corpus, "big", split)
        chunk = rng.integers(3, tiny_tokenizer.vocab_size, min(count, 1 << 20)).astype(np.uint16)
        for _ in range(max(1, count // len(chunk))):
            writer.append(chunk, 1, 1)
        shards += writer.close()
    source = SourceRecord("big", 1.0, "CC0 1.0", "", 1, 1, {}, 0, 0)
    CorpusManifest(tiny_tokenizer.digest, tiny_tokenizer.vocab_size, {}, (source,), tuple(shards)).save(corpus)
    data = TrainingData.load(f"local://{corpus}", 128, 1, tmp_path / "cache")
    data.sampler.batch(0, 64)
    cache = data.sampler._sources[0].shards[0].cache
    total = sum(shard.num_tokens for shard in shards) * 2
    assert 0 < cache.fetched_bytes <= total / 100


def test_old_blocks_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_cache, "BLOCK_BYTES", 100)
    (tmp_path / "a.bin").write_bytes(bytes(range(250)) * 8)
    record = ShardRecord("a.bin", "s", TRAIN, 1000, 1, 1, "ab" * 32)
    cache = BlockCache(open_storage(tmp_path), [record], tmp_path / "cache", max_bytes=500)
    shard = CachedShard(cache, record)
    for start in range(0, 1000, 50):
        assert len(shard[start : start + 50]) == 50
    assert sum(path.stat().st_size for path in (tmp_path / "cache").glob("*/*")) <= 500
    assert np.array_equal(shard[:1000], np.fromfile(tmp_path / "a.bin", "<u2"))


def test_a_store_that_fails_is_one_error(place: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing"):
        TrainingData.load("memory://nothing/here", 16, 1, tmp_path)
    data = TrainingData.load(place, 16, 1, tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    open_storage(place).remove("train")
    with pytest.raises(DataError, match="no such file"):
        data.sampler.batch(0, 4)
