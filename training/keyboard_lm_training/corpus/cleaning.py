"""First stage of a corpus: raw documents in, clean text and duplicate keys out to the work folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keyboard_lm_training.corpus import dedup
from keyboard_lm_training.corpus.clean import CleanOptions, clean_document
from keyboard_lm_training.corpus.parallel import Workers
from keyboard_lm_training.corpus.recipe import Recipe
from keyboard_lm_training.corpus.sources import SourceReader

_BATCH_CHARS = 1 << 18


@dataclass(frozen=True, slots=True)
class CleanText:
    """One source after cleaning.

    Attributes:
        file: one message per line; every document, the last one too, ends with an empty line. A line's number, counted
            over the files of all sources, is its item number: a message, or the document that the empty line ends.
        first_item: the item number of the file's first line.
        num_chars: characters in the file, the empty lines not counted.
        sha256: digest of the input.
        documents_read: documents before cleaning.
        messages_read: messages before cleaning.
        dropped: messages dropped by reason.
    """

    file: Path
    first_item: int
    num_chars: int
    sha256: str
    documents_read: int
    messages_read: int
    dropped: Counter[str]


class ItemSpill:
    """Collects what the sources of a corpus have in common: duplicate keys and the held-out documents.

    Args:
        folder: an existing work folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents = dedup.KeySpill(folder, "documents", dedup.KEY)
        self.messages = dedup.KeySpill(folder, "messages", dedup.MESSAGE_KEY)
        self.bands = dedup.KeySpill(folder, "bands", dedup.BAND_KEY)
        self.signatures = folder / "signatures.u32"
        self.heldout = dedup.Bitmap()
        self.num_items = 0
        self._num_signatures = 0

    def add(self, batch: CleanBatch) -> None:
        """Take over a batch; its item numbers start at 0 and move to the end of what is there."""
        first = np.uint64(self.num_items)
        for spill, records in ((self.documents, batch.documents), (self.messages, batch.messages)):
            records["item"] += first
            if "document" in (records.dtype.names or ()):
                records["document"] += first
            spill.add(records)
        self.heldout.add(batch.heldout + first)
        if len(batch.signatures):
            with self.signatures.open("ab") as file:
                file.write(batch.signatures.astype("<u4").tobytes())
            batch.bands["item"] += first
            batch.bands["row"] += np.uint64(self._num_signatures)
            self.bands.add(batch.bands)
            self._num_signatures += len(batch.signatures)
        self.num_items += batch.num_items


@dataclass(frozen=True, slots=True)
class CleanBatch:
    """What a worker returns for a batch of documents; item numbers and signature rows start at 0."""

    text: bytes
    num_items: int
    documents: dedup.Records
    messages: dedup.Records
    bands: dedup.Records
    signatures: np.ndarray[tuple[int, ...], np.dtype[np.uint32]]
    heldout: dedup.Items
    documents_read: int
    messages_read: int
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class CleanDocuments:
    """The work on a batch of raw documents (a picklable callable for `Workers.map`)."""

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
        heldout: list[int] = []
        near: list[list[str]] = []
        near_items: list[int] = []
        for raw in batch:
            messages, reasons = clean_document(raw, self.clean)
            dropped.update(reasons)
            messages_read += len(messages) + reasons.total()
            if not messages:
                continue
            lines = "\n".join(messages).encode()
            document = item + len(messages)
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
            text += lines + b"\n\n"
            item = document + 1
        signatures = dedup.near_signatures(near)
        bands = np.zeros((len(near), dedup.NUM_BANDS), dedup.BAND_KEY)
        bands["key"] = dedup.band_keys(signatures)
        bands["item"] = np.array(near_items, np.uint64)[:, None]
        bands["row"] = np.arange(len(near), dtype=np.uint64)[:, None]
        return CleanBatch(
            text=bytes(text),
            num_items=item,
            documents=np.array(document_keys, dedup.KEY),
            messages=np.array(message_keys, dedup.MESSAGE_KEY),
            bands=bands.reshape(-1),
            signatures=signatures,
            heldout=np.array(heldout, np.uint64),
            documents_read=len(batch),
            messages_read=messages_read,
            dropped=dropped,
        )


def clean_source(
    reader: SourceReader,
    recipe: Recipe,
    spill: ItemSpill,
    workers: Workers,
    on_bytes: Callable[[int], None],
) -> CleanText:
    """Clean one source into ``<name>.txt`` of the work folder.

    Args:
        reader: the source.
        recipe: supplies the options.
        spill: receives keys and held-out documents.
        workers: do the work; the result does not depend on their number.
        on_bytes: called with the input bytes read so far.

    Raises:
        DataError: the input cannot be read.
        OSError: the work folder cannot be written.
    """
    file = spill.folder / f"{reader.source.name}.txt"
    first_item = spill.num_items
    documents_read = messages_read = num_chars = 0
    dropped: Counter[str] = Counter()
    task = CleanDocuments(recipe.clean, recipe.dedup, recipe.heldout_fraction)
    with file.open("wb") as output:
        for batch in workers.map(task, _batches(reader)):
            output.write(batch.text)
            spill.add(batch)
            documents_read += batch.documents_read
            messages_read += batch.messages_read
            num_chars += len(batch.text)
            dropped.update(batch.dropped)
            on_bytes(reader.bytes_read)
    return CleanText(file, first_item, num_chars, reader.sha256, documents_read, messages_read, dropped)


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
