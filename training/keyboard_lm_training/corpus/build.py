"""Orchestration of a corpus: from a recipe to a finished folder, or to no folder at all."""

from __future__ import annotations

import errno
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keyboard_lm.errors import DataError
from keyboard_lm.files import take_lock
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm_training.corpus import dedup
from keyboard_lm_training.corpus.cleaning import CleanText, ItemSpill, clean_source
from keyboard_lm_training.corpus.encoding import EncodeBlock, ItemFlags, block_documents, read_blocks
from keyboard_lm_training.corpus.parallel import Workers
from keyboard_lm_training.corpus.recipe import SHARE, Recipe
from keyboard_lm_training.corpus.shards import (
    MAX_VOCAB_SIZE,
    SPLITS,
    TRAIN,
    CorpusManifest,
    ShardRecord,
    ShardWriter,
    SourceRecord,
)
from keyboard_lm_training.corpus.sources import SourceReader
from keyboard_lm_training.corpus.tokenizer_training import LineSample, train_tokenizer

PARTIAL_SUFFIX = ".partial"
_WORK_FOLDER = "work"

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class CorpusOptions:
    """What does not belong to the recipe, because the corpus does not depend on it.

    Attributes:
        data_dir: the folder that the recipe's relative paths start from.
        tokenizer_dir: a folder whose tokenizer is used instead of a new one.
        num_workers: processes; the corpus is the same with any number.
    """

    data_dir: Path = Path()
    tokenizer_dir: Path | None = None
    num_workers: int = 1


def build_corpus(
    recipe: Recipe, output: Path, options: CorpusOptions, on_progress: Progress | None = None
) -> CorpusManifest:
    """Write the corpus folder of a recipe.

    Everything happens in ``<output>.partial``, which is renamed when the corpus is whole and removed when it fails.
    What a killed run left there is removed by the next one.

    Args:
        recipe: sources and options.
        output: the folder to make; it must not exist, or be empty.
        options: paths and processes.
        on_progress: called with (stage, done, total); the total is None where it is not known.

    Returns:
        The manifest, as `CorpusManifest.load` reads it from `output`.

    Raises:
        DataError: the input cannot be used, or the output cannot be written.
        CheckpointError: `options.tokenizer_dir` holds no tokenizer.
        MissingExtraError: a package that the recipe needs is not installed.
    """
    report = on_progress or (lambda stage, done, total: None)
    readers = [SourceReader(source, options.data_dir) for source in recipe.sources]
    tokenizer = Tokenizer.load(options.tokenizer_dir) if options.tokenizer_dir else None
    if tokenizer and tokenizer.vocab_size > MAX_VOCAB_SIZE:
        raise DataError(f"{options.tokenizer_dir}: {tokenizer.vocab_size} pieces, but a shard holds ids below 65,536")
    with _partial_folder(output) as folder, Workers(options.num_workers) as workers:
        return _Build(recipe, folder, workers, report).run(readers, tokenizer)


@contextmanager
def _partial_folder(output: Path) -> Iterator[Path]:
    """Give the folder to work in; rename it to `output` on success, remove it otherwise."""
    output = output.absolute()  # "." has no name to add to
    folder = output.with_name(output.name + PARTIAL_SUFFIX)
    lock_file = output.with_name(output.name + PARTIAL_SUFFIX + ".lock")
    try:
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise DataError(f"{output} already exists; choose another folder or delete it")
        output.parent.mkdir(parents=True, exist_ok=True)
        with lock_file.open("w") as lock:
            if not take_lock(lock):
                raise DataError(f"{output}: another run is writing this corpus; wait for it or stop it")
            try:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                yield folder
                folder.replace(output)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                lock_file.unlink(missing_ok=True)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if is_full else "choose a folder you can write to"
        raise DataError(f"{output}: the corpus cannot be written ({error.strerror or error}); {advice}") from None


class _Build:
    """One run in the partial folder; each method is one stage."""

    def __init__(self, recipe: Recipe, folder: Path, workers: Workers, report: Progress) -> None:
        self._recipe = recipe
        self._folder = folder
        self._work = folder / _WORK_FOLDER
        self._workers = workers
        self._report = report

    def run(self, readers: list[SourceReader], tokenizer: Tokenizer | None) -> CorpusManifest:
        self._work.mkdir()
        spill = ItemSpill(self._work)
        cleaned = self._clean(readers, spill)
        flags = self._deduplicate(spill)
        if tokenizer is None:
            lines = self._sample(cleaned, flags)
            tokenizer = train_tokenizer(lines, self._recipe.tokenizer, self._workers, self._report)
        tokenizer.save(self._folder)
        shards, losses = self._encode(cleaned, flags, tokenizer.digest)
        sources = self._source_records(cleaned, losses, shards)
        shutil.rmtree(self._work)
        manifest = CorpusManifest(
            tokenizer.digest, tokenizer.vocab_size, self._recipe.to_dict(), tuple(sources), tuple(shards)
        )
        manifest.save(self._folder)
        return manifest

    def _clean(self, readers: list[SourceReader], spill: ItemSpill) -> list[CleanText]:
        total = None if any(reader.source.dataset for reader in readers) else sum(r.total_bytes for r in readers)
        before = 0
        cleaned = []
        for reader in readers:

            def on_bytes(done: int, before: int = before) -> None:
                self._report("reading", before + done, total)

            cleaned.append(clean_source(reader, self._recipe, spill, self._workers, on_bytes))
            if not cleaned[-1].num_chars:
                raise DataError(
                    f"source {reader.source.name}: no text left of {cleaned[-1].documents_read} documents"
                    f" ({_reasons(cleaned[-1].dropped)}); check the input and the recipe's [clean] table"
                )
            before += reader.bytes_read
        return cleaned

    def _deduplicate(self, spill: ItemSpill) -> ItemFlags:
        self._report("finding duplicates", 0, None)
        exact, near = dedup.Bitmap(), dedup.Bitmap()
        dedup.resolve_documents(spill.documents, exact)
        dedup.resolve_near_documents(spill.bands, spill.signatures, self._recipe.dedup.threshold, exact, near)
        dedup.resolve_messages(spill.messages, (exact, near), exact)
        return ItemFlags(exact, near, spill.heldout)

    def _sample(self, cleaned: list[CleanText], flags: ItemFlags) -> list[str]:
        sample = LineSample(self._recipe.tokenizer.sample_lines, np.random.default_rng(self._recipe.seed))
        weights = self._token_weights([clean.num_chars for clean in cleaned])
        for number, (clean, weight) in enumerate(zip(cleaned, weights, strict=True)):
            self._report("sampling for the tokenizer", number, len(cleaned))
            for block in read_blocks(clean, flags):
                documents = [document for document in block_documents(block) if document.split == TRAIN]
                sample.add([message for document in documents for message in document.messages], weight)
        return sample.lines()

    def _token_weights(self, sizes: list[int]) -> list[float]:
        """Return sampling weights per token (or character) from the recipe's, given the sizes of the sources."""
        weights = [source.weight for source in self._recipe.sources]
        if self._recipe.weights != SHARE:
            return weights
        per_share = sum(sizes) / sum(weights)
        return [weight / size * per_share if size else 0.0 for weight, size in zip(weights, sizes, strict=True)]

    def _encode(
        self, cleaned: list[CleanText], flags: ItemFlags, tokenizer_digest: str
    ) -> tuple[list[ShardRecord], list[Counter[str]]]:
        """Write the shards; return their records, and for each source the messages lost since cleaning."""
        task = EncodeBlock(self._folder, tokenizer_digest, self._recipe.clean.min_document_tokens)
        total = sum(clean.num_chars for clean in cleaned)
        done = 0
        shards: list[ShardRecord] = []
        losses: list[Counter[str]] = []
        for source, clean in zip(self._recipe.sources, cleaned, strict=True):
            writers = {split: ShardWriter(self._folder, source.name, split) for split in SPLITS}
            lost: Counter[str] = Counter()
            for block in self._workers.map(task, read_blocks(clean, flags)):
                for split, encoded in block.splits.items():
                    writers[split].append(encoded.ids, encoded.num_messages, encoded.num_bytes)
                    done += encoded.num_bytes
                lost.update(exact=block.exact, near=block.near, short_document=block.short_document)
                self._report("encoding", min(done, total), total)
            for writer in writers.values():
                shards += writer.close()
            losses.append(lost)
        if not any(shard.split == TRAIN for shard in shards):
            raise DataError("no training text is left after cleaning and de-duplication; add sources")
        return shards, losses

    def _source_records(
        self, cleaned: list[CleanText], losses: list[Counter[str]], shards: list[ShardRecord]
    ) -> list[SourceRecord]:
        num_tokens: Counter[str] = Counter()
        for shard in shards:
            num_tokens[shard.source] += shard.num_tokens if shard.split == TRAIN else 0
        weights = self._token_weights([num_tokens[source.name] for source in self._recipe.sources])
        records = []
        for source, clean, lost, weight in zip(self._recipe.sources, cleaned, losses, weights, strict=True):
            dropped = +(clean.dropped + Counter(short_document=lost["short_document"]))
            records.append(
                SourceRecord(
                    name=source.name,
                    weight=weight,
                    licence=source.licence,
                    sha256=clean.sha256,
                    documents_read=clean.documents_read,
                    messages_read=clean.messages_read,
                    dropped=dict(sorted(dropped.items())),
                    exact_duplicates=lost["exact"],
                    near_duplicates=lost["near"],
                )
            )
        return records


def _reasons(dropped: Counter[str]) -> str:
    return ", ".join(f"{count} messages {reason}" for reason, count in sorted(dropped.items())) or "it is empty"
