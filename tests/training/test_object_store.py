"""A corpus is made in, and trained on from, a store that speaks Amazon's S3: moto's server stands for one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from keyboard_lm_training.corpus.build import CorpusOptions, build_corpus
from keyboard_lm_training.corpus.recipe import Recipe
from keyboard_lm_training.corpus.shards import SPLITS
from keyboard_lm_training.corpus.sources import SourceRecipe
from keyboard_lm_training.corpus.tokenizer_training import TokenizerOptions
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.storage import connect, open_storage

from keyboard_lm.errors import DataError

pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server", reason="the stand-in for S3 is moto[server]")

RECIPE = Recipe(
    "tiny", (SourceRecipe("chat", path="chat-*.txt"),), tokenizer=TokenizerOptions(vocab_size=400), heldout_fraction=0.2
)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket, whose address every process finds where Amazon's own tools look for it."""
    import s3fs

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"), ("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("keyboard")
    yield "s3://keyboard"
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_corpus_in_s3_is_the_one_on_disk_and_is_trained_on_from_there(
    bucket: str, sentences: list[str], tmp_path: Path
) -> None:
    for number in range(2):
        text = "\n\n".join("\n".join(sentences[at : at + 4]) for at in range(number * 40, number * 40 + 40, 4))
        for place in (tmp_path / "in", f"{bucket}/in"):
            open_storage(place).write(f"chat-{number}.txt", text.encode())
    build_corpus(RECIPE, tmp_path / "corpus", CorpusOptions(tmp_path / "in", part_bytes=20_000))
    options = CorpusOptions(f"{bucket}/in", num_workers=2, part_bytes=20_000)
    manifest = build_corpus(RECIPE, f"{bucket}/corpus", options)
    there, here = open_storage(f"{bucket}/corpus"), open_storage(tmp_path / "corpus")
    names = ["manifest.json", "tokenizer.model", *(shard.file for shard in manifest.shards)]
    assert {shard.split for shard in manifest.shards} == set(SPLITS)
    assert [there.read(name) == here.read(name) for name in names] == [True] * len(names)
    assert not connect(f"{bucket}/corpus.partial")[0].exists(f"{bucket}/corpus.partial")
    with pytest.raises(DataError, match="already exists"):
        build_corpus(RECIPE, f"{bucket}/corpus", options)
    remote = TrainingData.load(f"{bucket}/corpus", 16, 1, tmp_path / "cache")
    local = TrainingData.load(tmp_path / "corpus", 16, 1)
    assert np.array_equal(remote.sampler.batch(0, 50), local.sampler.batch(0, 50))
    assert any(path.is_file() for path in (tmp_path / "cache").rglob("*"))
    with pytest.raises(DataError):
        TrainingData.load(f"{bucket}/nothing", 16, 1, tmp_path / "cache")
