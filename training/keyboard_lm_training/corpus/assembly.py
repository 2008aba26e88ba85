"""Last stages of a corpus: where shards are cut, the shards themselves, and the manifest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from keyboard_lm.errors import DataError
from keyboard_lm_training.corpus.encoding import BLOCK_TYPE
from keyboard_lm_training.corpus.shards import (
    MANIFEST_FILE,
    MAX_SHARD_TOKENS,
    SPLITS,
    TOKEN,
    TRAIN,
    CorpusManifest,
    ShardRecord,
    SourceRecord,
)
from keyboard_lm_training.corpus.tokenizer_stages import token_weights
from keyboard_lm_training.corpus.work import Values, Work

_COPY_BYTES = 1 << 20


def number_items(work: Work, index: int) -> Values:
    """Gather what cleaning counted, and see that every source has text left."""
    marks = work.marks("clean", len(work.parts))
    before = Counter[int]()
    parts = []
    for part, mark in zip(work.parts, marks, strict=True):
        figures = {name: mark[name] for name in ("num_items", "num_bytes", "num_signatures")}
        parts.append({**figures, "start": before[part.source]})
        before[part.source] += mark["num_bytes"]
    sources = []
    for number, source in enumerate(work.recipe.sources):
        own = [mark for part, mark in zip(work.parts, marks, strict=True) if part.source == number]
        dropped: Counter[str] = Counter()
        for mark in own:
            dropped.update(mark["dropped"])
        documents = sum(mark["documents_read"] for mark in own)
        if not before[number]:
            reasons = ", ".join(f"{count} messages {reason}" for reason, count in sorted(dropped.items()))
            raise DataError(
                f"source {source.name}: no text left of {documents} documents"
                f" ({reasons or 'it is empty'}); check the input and the recipe's [clean] table"
            )
        messages = sum(mark["messages_read"] for mark in own)
        sources.append({"documents_read": documents, "messages_read": messages, "dropped": dropped})
    work.save("items.json", {"parts": parts, "sources": sources})
    work.storage.remove("raw")
    return {}


@dataclass(slots=True)
class _Shard:
    """A shard while it is laid out; segments are (part, first token, token after the last)."""

    source: str
    split: str
    number: int
    segments: list[list[int]]
    num_tokens: int = 0
    num_messages: int = 0
    num_bytes: int = 0

    @property
    def file(self) -> str:
        return f"{self.split}/{self.source}-{self.number:05}.bin"


def lay_out_shards(work: Work, index: int) -> Values:
    """Cut the parts' token ids into shards, which end with the first block that fills them."""
    shards: list[_Shard] = []
    for number, source in enumerate(work.recipe.sources):
        own = [part for part, value in enumerate(work.parts) if value.source == number]
        for split_number, split in enumerate(SPLITS):
            shards += _cut(source.name, split, _blocks(work, own, split_number))
    if not any(shard.split == TRAIN for shard in shards):
        raise DataError("no training text is left after cleaning and de-duplication; add sources")
    lost: list[Counter[str]] = [Counter() for _ in work.recipe.sources]
    for index, part in enumerate(work.parts):
        mark = work.mark("encode", index)
        lost[part.source].update({name: mark[name] for name in ("exact", "near", "short_document")})
    layout = [
        {"file": s.file, "source": s.source, "split": s.split, "segments": s.segments, "num_tokens": s.num_tokens,
         "num_messages": s.num_messages, "num_bytes": s.num_bytes}
        for s in shards
    ]  # fmt: skip
    work.save("layout.json", {"shards": layout, "lost": lost})
    return {}


def _blocks(work: Work, parts: Sequence[int], split: int) -> Iterator[tuple[int, list[int]]]:
    """Yield the blocks of a split, part by part: all of a large source's do not fit into memory."""
    for part in parts:
        table = np.frombuffer(work.storage.read(f"blocks/{part}"), BLOCK_TYPE).reshape(-1, 5)
        for block in table[table[:, 1] == split].tolist():
            yield part, block


def _cut(source: str, split: str, blocks: Iterator[tuple[int, list[int]]]) -> Iterator[_Shard]:
    shard, number, last_part, position = None, 0, -1, 0
    upcoming = next(blocks, None)
    while upcoming is not None:
        part, (block, _, num_tokens, num_messages, num_bytes) = upcoming
        upcoming = next(blocks, None)
        if part != last_part:
            last_part, position = part, 0
        if shard is None:
            shard = _Shard(source, split, number, [])
            number += 1
        if shard.segments and shard.segments[-1][0] == part:
            shard.segments[-1][2] += num_tokens
        else:
            shard.segments.append([part, position, position + num_tokens])
        position += num_tokens
        shard.num_tokens += num_tokens
        shard.num_messages += num_messages
        shard.num_bytes += num_bytes
        goes_on = upcoming is not None and upcoming[1][0] == block  # in the next part
        if shard.num_tokens >= MAX_SHARD_TOKENS and not goes_on:
            yield shard
            shard = None
    if shard is not None:
        yield shard


def num_shards(work: Work) -> int:
    """Return how many shards were laid out."""
    return len(work.load("layout.json")["shards"])


def write_shard(work: Work, index: int) -> Values:
    """Copy the token ids of one shard together."""
    shard = work.load("layout.json")["shards"][index]
    sha = hashlib.sha256()
    with work.corpus.replaced(shard["file"]) as output:
        for part, first, end in shard["segments"]:
            with work.storage.open(f"ids/{shard['split']}-{part}") as ids:
                ids.seek(first * TOKEN.itemsize)
                left = (end - first) * TOKEN.itemsize
                while left:
                    data = ids.read(min(_COPY_BYTES, left))
                    if not data:
                        raise DataError(
                            f"{work.storage.where('ids')}: part {part} is truncated; run again with --restart"
                        )
                    output.write(data)
                    sha.update(data)
                    left -= len(data)
    return {"sha256": sha.hexdigest()}


def write_manifest(work: Work, index: int) -> Values:
    """Write the manifest; with it the corpus is whole."""
    recipe, layout = work.recipe, work.load("layout.json")
    marks = work.marks("shards", len(layout["shards"]))
    shards = tuple(
        ShardRecord(s["file"], s["source"], s["split"], s["num_tokens"], s["num_messages"], s["num_bytes"], m["sha256"])
        for s, m in zip(layout["shards"], marks, strict=True)
    )
    digests = work.marks("digest", len(recipe.sources))
    tokenizer = work.load("tokenizer.json")
    num_tokens = [sum(s.num_tokens for s in shards if s.source == source.name and s.split == TRAIN)
                  for source in recipe.sources]  # fmt: skip
    weights = token_weights(recipe, num_tokens)
    cleaned = work.load("items.json")["sources"]
    sources = []
    for number, source in enumerate(recipe.sources):
        lost, counts = layout["lost"][number], cleaned[number]
        dropped = +(Counter(counts["dropped"]) + Counter(short_document=lost["short_document"]))
        sources.append(
            SourceRecord(
                name=source.name,
                weight=weights[number],
                licence=source.licence,
                sha256=digests[number]["sha256"],
                documents_read=counts["documents_read"],
                messages_read=counts["messages_read"],
                dropped=dict(sorted(dropped.items())),
                exact_duplicates=lost["exact"],
                near_duplicates=lost["near"],
            )
        )
    manifest = CorpusManifest(tokenizer["digest"], tokenizer["vocab_size"], recipe.to_dict(), tuple(sources), shards)
    work.corpus.write(MANIFEST_FILE, manifest.to_json().encode())
    return {}
