"""Cleaning of a part: raw documents in, clean text and the keys of duplicates out to the work folder."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from keyboard_lm_training.corpus import dedup
from keyboard_lm_training.corpus.clean import CleanOptions, clean_document
from keyboard_lm_training.corpus.scan import part_documents
from keyboard_lm_training.corpus.sliced import SlicedWriter
from keyboard_lm_training.corpus.tokenizer_training import MAX_LINE_CHARS
from keyboard_lm_training.corpus.work import Values, Work

DOCUMENT = 1
HELDOUT_DOCUMENT = 2
KEY_TYPES = {"documents": dedup.KEY, "messages": dedup.MESSAGE_KEY, "bands": dedup.BAND_KEY}
_BATCH_CHARS = 1 << 18


@dataclass(frozen=True, slots=True)
class CleanBatch:
    """What a batch of documents becomes; item numbers and signature rows start at 0.

    Attributes:
        text: one message per line; every document ends with an empty line. A line's number is its item number: a
            message, or the document that the empty line ends.
        num_items: lines of the text.
        items: a byte for each, `DOCUMENT` and `HELDOUT_DOCUMENT` for documents.
        long_messages: messages that no tokenizer is trained on.
        documents, messages, bands: duplicate keys.
        signatures: (documents, permutations) of those that may be near duplicates.
        documents_read: documents before cleaning.
        messages_read: messages before cleaning.
        dropped: messages dropped by reason.
    """

    text: bytearray
    num_items: int
    items: npt.NDArray[np.uint8]
    long_messages: npt.NDArray[np.uint32]
    documents: dedup.Records
    messages: dedup.Records
    bands: dedup.Records
    signatures: npt.NDArray[np.uint32]
    documents_read: int
    messages_read: int
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class CleanDocuments:
    """The work on a batch of raw documents."""

    clean: CleanOptions
    dedup: dedup.DedupOptions
    heldout_fraction: float

    def __call__(self, batch: list[list[str]]) -> CleanBatch:
        """Clean, key and sign the documents of a batch."""
        options = self.dedup
        text = bytearray()
        item = messages_read = 0
        dropped: Counter[str] = Counter()
        document_keys: list[tuple[int, int]] = []
        message_keys: list[tuple[int, int, int]] = []
        documents: list[int] = []
        heldout: list[int] = []
        long_messages: list[int] = []
        near: list[list[str]] = []
        near_items: list[int] = []
        for raw in batch:
            messages, reasons = clean_document(raw, self.clean)
            dropped.update(reasons)
            messages_read += len(messages) + reasons.total()
            if not messages:
                continue
            lines = b"\n".join([message.encode() for message in messages])
            document = item + len(messages)
            documents.append(document)
            long_messages += [item + i for i, message in enumerate(messages) if len(message) > MAX_LINE_CHARS]
            key = dedup.text_key(lines)
            if key < self.heldout_fraction * 2**64:
                heldout.append(document)
            if len(lines) >= options.min_exact_chars:
                document_keys.append((key, document))
                for offset, message in enumerate(messages):
                    if len(message) >= options.min_exact_chars:
                        message_keys.append((dedup.text_key(message.encode()), item + offset, document))
            if options.near_duplicates and sum(m.count(" ") + 1 for m in messages) >= options.min_near_words:
                near.append(messages)
                near_items.append(document)
            text += lines
            text += b"\n\n"
            del lines  # of a document as long as a line may be, each copy counts
            item = document + 1
        signatures = dedup.near_signatures(near)
        bands = np.zeros((len(near), dedup.NUM_BANDS), dedup.BAND_KEY)
        bands["key"] = dedup.band_keys(signatures)
        bands["item"] = np.array(near_items, np.uint32)[:, None]
        bands["row"] = np.arange(len(near), dtype=np.uint32)[:, None]
        items = np.zeros(item, np.uint8)
        items[documents] = DOCUMENT
        items[heldout] |= HELDOUT_DOCUMENT
        return CleanBatch(
            text=text,
            num_items=item,
            items=items,
            long_messages=np.array(long_messages, np.uint32),
            documents=np.array(document_keys, dedup.KEY),
            messages=np.array(message_keys, dedup.MESSAGE_KEY),
            bands=bands.reshape(-1),
            signatures=signatures,
            documents_read=len(batch),
            messages_read=messages_read,
            dropped=dropped,
        )


def clean_part(work: Work, index: int) -> Values:
    """Clean one part: its text, a byte for each item, its keys by partition, its signatures.

    Returns:
        The counts of `CleanBatch`, and ``num_bytes`` of text and ``num_signatures``.

    Raises:
        DataError: the input cannot be read.
        WriteError: the work folder cannot be written.
    """
    recipe, storage, partitions = work.recipe, work.storage, work.num_partitions
    task = CleanDocuments(recipe.clean, recipe.dedup, recipe.heldout_fraction)
    keys = {name: SlicedWriter(dtype, partitions) for name, dtype in KEY_TYPES.items()}
    num_items = num_bytes = num_signatures = documents_read = messages_read = 0
    dropped: Counter[str] = Counter()
    with contextlib.ExitStack() as stack:
        names = ("text", "items", "long", "signatures")
        text, items, long_messages, signatures = (
            stack.enter_context(storage.replaced(f"{name}/{index}")) for name in names
        )
        for batch in map(task, _batches(part_documents(work, work.parts[index]))):
            text.write(batch.text)
            items.write(batch.items.tobytes())
            long_messages.write((batch.long_messages + np.uint32(num_items)).astype("<u4").tobytes())
            signatures.write(batch.signatures.astype("<u4").tobytes())
            for name, writer in keys.items():
                records = getattr(batch, name)
                records["item"] += np.uint32(num_items)
                if "document" in (records.dtype.names or ()):
                    records["document"] += np.uint32(num_items)
                if "row" in (records.dtype.names or ()):
                    records["row"] += np.uint32(num_signatures)
                writer.add(records, dedup.partition_of(records["key"], partitions))
            num_items += batch.num_items
            num_bytes += len(batch.text)
            num_signatures += len(batch.signatures)
            documents_read += batch.documents_read
            messages_read += batch.messages_read
            dropped.update(batch.dropped)
    for name, writer in keys.items():
        writer.save(storage, f"{name}/{index}")
    return {
        "num_items": num_items, "num_bytes": num_bytes, "num_signatures": num_signatures,
        "documents_read": documents_read, "messages_read": messages_read, "dropped": dropped,
    }  # fmt: skip


def _batches(documents: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    batch: list[list[str]] = []
    num_chars = 0
    for document in documents:
        batch.append(document)
        num_chars += sum(map(len, document))
        if num_chars >= _BATCH_CHARS:
            yield batch
            batch, num_chars = [], 0
    if batch:
        yield batch
