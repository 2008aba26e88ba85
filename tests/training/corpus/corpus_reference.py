"""A corpus made in memory by the plainest means, to hold the stages against: one pass, dictionaries, one list."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from keyboard_lm_training.corpus import dedup
from keyboard_lm_training.corpus.clean import clean_document
from keyboard_lm_training.corpus.recipe import SHARE, Recipe
from keyboard_lm_training.corpus.shards import HELDOUT, TRAIN
from keyboard_lm_training.corpus.sources import SourceReader
from keyboard_lm_training.corpus.tokenizer_training import (
    MAX_LINE_CHARS,
    choose_proper_nouns,
    count_mid_sentence,
    train_pieces,
)

from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import TextForm

Document = list[str]


def exact_and_near(recipe: Recipe, documents: Sequence[Document]) -> tuple[set[int], set[int]]:
    """Return the exact and the near duplicates among all documents, by number."""
    options = recipe.dedup
    texts: set[str] = set()
    exact, near = set[int](), set[int]()
    for number, document in enumerate(documents):
        text = "\n".join(document)
        if len(text.encode()) >= options.min_exact_chars:
            if text in texts:
                exact.add(number)
            texts.add(text)
    signed = [
        number
        for number, document in enumerate(documents)
        if number not in exact and sum(m.count(" ") + 1 for m in document) >= options.min_near_words
    ]
    signatures = dedup.near_signatures([documents[n] for n in signed]) if options.near_duplicates else []
    first: dict[tuple[int, bytes], int] = {}
    for row, signature in enumerate(signatures):
        for band in range(dedup.NUM_BANDS):
            entries = signature[band * dedup.BAND_ROWS : (band + 1) * dedup.BAND_ROWS]
            earlier = first.setdefault((band, entries.tobytes()), row)
            if earlier != row and (signature == signatures[earlier]).mean() >= options.threshold:
                near.add(signed[row])
    return exact, near


@dataclass(frozen=True, slots=True)
class Encoded:
    """One document: where it belongs, its clean text, and its token ids if it is in the corpus."""

    source: str
    split: str
    text: bytes
    ids: list[int]


def reference_documents(recipe: Recipe, data_dir: Path, tokenizer: Tokenizer | None = None) -> list[Encoded]:
    """Return the documents of a corpus in their order."""
    documents: list[Document] = []
    owners: list[int] = []
    for number, source in enumerate(recipe.sources):
        for raw in SourceReader(source, data_dir):
            messages, _ = clean_document(raw, recipe.clean)
            if messages:
                documents.append(messages)
                owners.append(number)
    sizes = [sum(len("\n".join(d).encode()) + 2 for d, o in zip(documents, owners, strict=True) if o == n)
             for n in range(len(recipe.sources))]  # fmt: skip
    held_out = [dedup.text_key("\n".join(d).encode()) < recipe.heldout_fraction * 2**64 for d in documents]
    exact, near = exact_and_near(recipe, documents)
    seen: set[str] = set()
    kept: list[Document] = []
    for number, document in enumerate(documents):
        left = []
        for message in document if number not in exact | near else ():
            may_not_repeat = (
                len(message) >= recipe.dedup.min_exact_chars
                and len("\n".join(document).encode()) >= recipe.dedup.min_exact_chars
            )
            if not (may_not_repeat and message in seen):
                left.append(message)
            if may_not_repeat:
                seen.add(message)
        kept.append(left)
    if tokenizer is None:
        lines = drawn(recipe, sizes, [(o, d) for o, d, h in zip(owners, kept, held_out, strict=True) if not h])
        options = recipe.tokenizer
        nouns = choose_proper_nouns(count_mid_sentence(lines), options.max_proper_nouns, options.min_proper_noun_count)
        form = TextForm(nouns)
        tokenizer = Tokenizer(train_pieces([form.encode(line) for line in lines], options), nouns)
    found = []
    for owner, document, left, is_held_out in zip(owners, documents, kept, held_out, strict=True):
        ids = [tokenizer.bos_id]
        for message in left:
            ids += [*tokenizer.encode_forms([tokenizer.form.encode(message)])[0], tokenizer.eos_id]
        is_in = bool(left) and len(ids) >= recipe.clean.min_document_tokens
        text = ("\n".join(document) + "\n\n").encode()
        found.append(Encoded(recipe.sources[owner].name, HELDOUT if is_held_out else TRAIN, text, ids if is_in else []))
    return found


def shards_of(documents: Sequence[Encoded]) -> dict[str, bytes]:
    """Return the shards of a small corpus by file name."""
    shards: dict[str, list[int]] = {}
    for document in documents:
        if document.ids:
            shards.setdefault(f"{document.split}/{document.source}-00000.bin", []).extend(document.ids)
    return {name: np.array(ids, "<u2").tobytes() for name, ids in shards.items()}


def shard_sizes(documents: Sequence[Encoded], block_bytes: int, max_tokens: int) -> list[int]:
    """Return the tokens of each shard of one source and split, written by one writer that sees block after block.

    The clean text is read `block_bytes` at a time; a block ends with the last document that is there in full.
    """
    sizes, count, left = [], 0, list(documents)
    text, rest, position = b"".join(d.text for d in documents), b"", 0
    while position < len(text):
        rest += text[position : position + block_bytes]
        position += block_bytes
        end = rest.rfind(b"\n\n") + 2
        if end < 2:
            continue
        block, rest = rest[:end], rest[end:]
        while block:
            document = left.pop(0)
            block = block[len(document.text) :]
            count += len(document.ids)
        if count >= max_tokens:
            sizes.append(count)
            count = 0
    return [*sizes, count] if count else sizes


def drawn(recipe: Recipe, sizes: Sequence[int], documents: Sequence[tuple[int, Document]]) -> list[str]:
    """Return the tokenizer's sample: a heap of the smallest ``Exponential(1) / weight``, one draw for each message."""
    weights = [source.weight for source in recipe.sources]
    if recipe.weights == SHARE:
        weights = [w / s * sum(sizes) / sum(weights) for w, s in zip(weights, sizes, strict=True)]
    rng = np.random.default_rng(recipe.seed)
    messages = [(owner, message) for owner, document in documents for message in document]
    keys = [float(rng.exponential()) / weights[owner] for owner, _ in messages]
    able = [(key, number) for number, key in enumerate(keys) if len(messages[number][1]) <= MAX_LINE_CHARS]
    chosen = heapq.nsmallest(recipe.tokenizer.sample_lines, able)
    return [messages[number][1] for number in sorted(number for _, number in chosen)]
