"""A corpus folder as the trainer sees it: windows to learn from, held-out text to measure on."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from keyboard_lm.errors import DataError
from keyboard_lm.network.tokenizer import PROPER_NOUNS_FILE, TOKENIZER_FILE, Tokenizer
from keyboard_lm_training.corpus.shards import (
    HELDOUT,
    MANIFEST_FILE,
    TRAIN,
    CorpusManifest,
    ShardRecord,
    open_shard,
)
from keyboard_lm_training.run.block_cache import BlockCache, CachedShard, default_cache_folder
from keyboard_lm_training.run.heldout import HeldoutShard
from keyboard_lm_training.run.windows import RepeatedWindows, Shard, WindowSampler
from keyboard_lm_training.storage import open_storage


@dataclass(frozen=True)
class TrainingData:
    """What one run trains on.

    Attributes:
        tokenizer: the corpus's tokenizer.
        sampler: training windows.
        heldout: text kept out of training.
        manifest: the corpus's manifest.
    """

    tokenizer: Tokenizer
    sampler: WindowSampler | RepeatedWindows
    heldout: tuple[HeldoutShard, ...]
    manifest: CorpusManifest

    @classmethod
    def load(cls, place: Path | str, seq_len: int, seed: int, cache_folder: Path | None = None) -> TrainingData:
        """Open a corpus made by `keyboard-lm corpus`.

        Args:
            place: its folder, or an URL that fsspec understands, whose shards are then read a block at a time.
            seq_len: tokens of a window.
            seed: of the windows' order.
            cache_folder: where blocks of an URL's shards are kept on this machine; by default in the user's cache.

        Raises:
            DataError: the folder is not a corpus, is damaged, or is too small for one window.
            CheckpointError: its tokenizer cannot be read.
        """
        if "://" in str(place):
            manifest, tokenizer, open_one = _open_remote(str(place), cache_folder or default_cache_folder())
        else:
            folder = Path(place)
            manifest, tokenizer = CorpusManifest.load(folder), Tokenizer.load(folder)
            open_one = partial(open_shard, folder)
        if tokenizer.digest != manifest.tokenizer_digest:
            raise DataError(f"{place}: the tokenizer is not the one its shards were made with; rebuild the corpus")
        shards = {
            source.name: [open_one(shard) for shard in manifest.shards_of(TRAIN, source.name)]
            for source in manifest.sources
        }
        weights = {source.name: source.weight for source in manifest.sources}
        sampler = WindowSampler(
            shards, weights, seq_len, tokenizer.bos_id, tokenizer.eos_id, seed, tokenizer.vocab_size
        )
        heldout = tuple(
            HeldoutShard(shard.source, open_one(shard), shard.num_bytes / shard.num_tokens)
            for shard in manifest.shards_of(HELDOUT)
            if shard.num_tokens > 1
        )
        return cls(tokenizer, sampler, heldout, manifest)

    def repeating(self, num_windows: int, seed: int, fresh_share: float = 0.0) -> TrainingData:
        """Return the same corpus in the order of `RepeatedWindows`."""
        order = self.sampler.sampler if isinstance(self.sampler, RepeatedWindows) else self.sampler
        return dataclasses.replace(self, sampler=RepeatedWindows(order, num_windows, seed, fresh_share))

    @property
    def digest(self) -> str:
        """SHA-256 over the tokenizer, the shards and the weights of their sources."""
        parts = [self.tokenizer.digest]
        parts += [f"{source.name} {source.weight}" for source in self.manifest.sources]
        parts += [f"{shard.file} {shard.sha256}" for shard in self.manifest.shards]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return what the training record keeps of the corpus."""
        return {
            "tokenizer_digest": self.tokenizer.digest,
            "train_tokens": self.manifest.num_tokens(TRAIN),
            "sources": [
                {
                    "name": source.name,
                    "weight": source.weight,
                    "licence": source.licence,
                    "sha256": source.sha256,
                    "tokens": self.manifest.num_tokens(TRAIN, source.name),
                }
                for source in self.manifest.sources
            ],
        }


def _open_remote(place: str, cache_folder: Path) -> tuple[CorpusManifest, Tokenizer, Callable[[ShardRecord], Shard]]:
    # The small files are read whole each time; what a shard should be its digest in the manifest says.
    storage = open_storage(place)
    manifest = CorpusManifest.from_json(storage.read(MANIFEST_FILE).decode(), storage.where(MANIFEST_FILE))
    with TemporaryDirectory() as scratch:
        for name in (TOKENIZER_FILE, PROPER_NOUNS_FILE):
            (Path(scratch) / name).write_bytes(storage.read(name))
        tokenizer = Tokenizer.load(Path(scratch))
    cache = BlockCache(storage, manifest.shards, cache_folder)
    return manifest, tokenizer, partial(CachedShard, cache)
