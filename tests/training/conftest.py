"""A tiny corpus folder, and a short run over it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from keyboard_lm_training.shards import HELDOUT, TRAIN, CorpusManifest, ShardWriter, SourceRecord
from keyboard_lm_training.train_config import TrainConfig

from keyboard_lm.tokenizer import Tokenizer

_WORDS = [
    "the",
    "a",
    "I",
    "you",
    "we",
    "see",
    "hear",
    "know",
    "like",
    "want",
    "dog",
    "cat",
    "day",
    "night",
    "word",
    "to",
    "and",
    "of",
    "it",
    "is",
    "good",
    "new",
    "here",
    "there",
]


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Tokenizer) -> Path:
    """Two sources of random messages, 60 of 400 held out."""
    folder = tmp_path_factory.mktemp("corpus")
    tiny_tokenizer.save(folder)
    rng = random.Random(3)
    shards = []
    for source in ("chat", "books"):
        for split, count in ((TRAIN, 340), (HELDOUT, 60)):
            writer = ShardWriter(folder, source, split)
            for _ in range(count // 4):
                messages = [" ".join(rng.choices(_WORDS, k=rng.randint(2, 9))) for _ in range(4)]
                ids = [tiny_tokenizer.bos_id]
                for message in messages:
                    ids += tiny_tokenizer.encode_message(message)
                num_bytes = sum(len(message) + 1 for message in messages)
                writer.append(np.array(ids, dtype=np.uint16), len(messages), num_bytes)
            shards += writer.close()
    sources = tuple(
        SourceRecord(name, weight, "CC0 1.0", "", 85, 400, {}, 0, 0) for name, weight in (("chat", 2.0), ("books", 0.5))
    )
    CorpusManifest(tiny_tokenizer.digest, tiny_tokenizer.vocab_size, {}, sources, tuple(shards)).save(folder)
    return folder


@pytest.fixture
def tiny_run() -> TrainConfig:
    """A run of six steps that takes a second or two."""
    return TrainConfig(
        size="2m", seq_len=16, batch_tokens=128, micro_batch=4, steps=6, warmup_steps=2, average_snapshots=2,
        average_interval_steps=1, eval_interval_steps=3, eval_tokens=64, log_interval_steps=1,
    )  # fmt: skip
