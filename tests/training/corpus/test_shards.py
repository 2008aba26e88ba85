"""Laws of the corpus folder's format: what was written is what is read, and damage never goes unnoticed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyboard_lm_training.corpus.shards import (
    HELDOUT,
    MANIFEST_FILE,
    TRAIN,
    CorpusManifest,
    ShardRecord,
    ShardWriter,
    SourceRecord,
    open_shard,
)

from keyboard_lm.errors import DataError

SOURCE = SourceRecord("chat", 2.5, "CC0 1.0", "ab" * 32, 2, 5, {"personal": 1}, 1, 0)


def write(folder: Path, split: str, ids: list[int]) -> list[ShardRecord]:
    writer = ShardWriter(folder, "chat", split)
    writer.append(np.array(ids, np.uint16), 2, 11)
    return writer.close()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    shards = [*write(tmp_path, TRAIN, [1, 500, 2, 65535]), *write(tmp_path, HELDOUT, [1, 7, 2])]
    CorpusManifest("digest", 600, {"name": "r", "sources": []}, (SOURCE,), tuple(shards)).save(tmp_path)
    return tmp_path


def test_a_manifest_is_read_as_it_was_written(corpus: Path) -> None:
    manifest = CorpusManifest.load(corpus)
    assert manifest.sources == (SOURCE,)
    assert (manifest.tokenizer_digest, manifest.vocab_size) == ("digest", 600)
    assert [shard.file for shard in manifest.shards] == ["train/chat-00000.bin", "heldout/chat-00000.bin"]
    assert manifest.num_tokens(TRAIN) == 4
    assert manifest.num_tokens(HELDOUT, "chat") == 3
    assert manifest.shards_of(TRAIN, "books") == ()
    manifest.verify(corpus)


def test_every_shard_is_on_the_disk_before_the_manifest_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    shards = [*write(tmp_path, TRAIN, [1, 2, 3]), *write(tmp_path, HELDOUT, [1, 7, 2])]
    assert [(tmp_path / shard.file).stat().st_ino for shard in shards] == flushed
    CorpusManifest("digest", 600, {}, (SOURCE,), tuple(shards)).save(tmp_path)
    assert (tmp_path / MANIFEST_FILE).stat().st_ino in flushed[2:]


def test_a_shard_is_mapped_as_little_endian_uint16(corpus: Path) -> None:
    shard = CorpusManifest.load(corpus).shards[0]
    assert (corpus / shard.file).read_bytes() == bytes([1, 0, 244, 1, 2, 0, 255, 255])
    ids = open_shard(corpus, shard)
    assert isinstance(ids, np.memmap)
    assert ids.tolist() == [1, 500, 2, 65535]


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 65535), max_size=8), max_size=12), st.integers(1, 20))
def test_shards_in_a_row_hold_the_documents_in_order(
    tmp_path_factory: pytest.TempPathFactory, documents: list[list[int]], max_tokens: int
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    writer = ShardWriter(folder, "chat", TRAIN, max_tokens)
    for document in documents:
        writer.append(np.array(document, np.uint16), 1, len(document))
    shards = writer.close()
    ids = [token for shard in shards for token in open_shard(folder, shard).tolist()]
    assert ids == [token for document in documents for token in document]
    assert all(shard.num_tokens >= max_tokens for shard in shards[:-1])
    assert sum(shard.num_bytes for shard in shards) == len(ids)
    starts = np.cumsum([0, *(len(document) for document in documents)])
    assert set(np.cumsum([0, *(shard.num_tokens for shard in shards)])) <= set(starts)


@pytest.mark.parametrize("size", [0, 7])
def test_a_truncated_shard_is_noticed_on_load(corpus: Path, size: int) -> None:
    shard = CorpusManifest.load(corpus).shards[0]
    data = (corpus / shard.file).read_bytes()
    (corpus / shard.file).write_bytes(data[:size])
    for use in (lambda: CorpusManifest.load(corpus), lambda: open_shard(corpus, shard)):
        with pytest.raises(DataError, match=f"{size} bytes instead of 8"):
            use()


def test_a_missing_shard_is_noticed_on_load(corpus: Path) -> None:
    (corpus / "heldout/chat-00000.bin").unlink()
    with pytest.raises(DataError, match="the shard is missing"):
        CorpusManifest.load(corpus)


def test_verify_notices_one_changed_token(corpus: Path) -> None:
    manifest = CorpusManifest.load(corpus)
    (corpus / "train/chat-00000.bin").write_bytes(bytes([1, 0, 244, 1, 3, 0, 255, 255]))
    with pytest.raises(DataError, match="changed since it was written"):
        manifest.verify(corpus)


def test_a_folder_without_a_manifest_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no corpus here"):
        CorpusManifest.load(tmp_path)


def test_a_file_of_text_is_no_corpus_and_says_how_to_make_one(tmp_path: Path) -> None:
    text = tmp_path / "file.txt"
    text.write_text("Hello\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"file\.txt: a file, not a corpus; .* keyboard-lm corpus .*file\.txt -o FOLDER$"
    ):
        CorpusManifest.load(text)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format_version": 2}, "corpus format 2, but this version reads 1"),
        ({"format_version": None}, "corpus format None"),
        ({"vocab_size": "many"}, "damaged"),
        ({"sources": [{"name": "x"}]}, "damaged"),
        ({"shards": 3}, "damaged"),
        ({"shards": [3]}, "damaged"),
    ],
)
def test_a_damaged_manifest_is_one_clear_error(corpus: Path, change: dict[str, Any], complaint: str) -> None:
    values = json.loads((corpus / MANIFEST_FILE).read_text())
    (corpus / MANIFEST_FILE).write_text(json.dumps({**values, **change}))
    with pytest.raises(DataError, match=complaint):
        CorpusManifest.load(corpus)


@pytest.mark.parametrize("text", ["", "[]", "{", "\ud800"])
def test_a_manifest_that_is_not_an_object_is_one_clear_error(corpus: Path, text: str) -> None:
    (corpus / MANIFEST_FILE).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError):
        CorpusManifest.load(corpus)
