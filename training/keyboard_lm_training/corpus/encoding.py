"""Second stage of a corpus: clean text without its duplicates, as token ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm_training.corpus.cleaning import CleanText
from keyboard_lm_training.corpus.dedup import Bitmap
from keyboard_lm_training.corpus.shards import HELDOUT, SPLITS, TOKEN, TRAIN

_BLOCK_BYTES = 1 << 19

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ItemFlags:
    """What was decided about the items of a corpus."""

    exact: Bitmap
    near: Bitmap
    heldout: Bitmap


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole documents of a `CleanText`, with one flag per item for each decision."""

    text: bytes
    exact: Flags
    near: Flags
    heldout: Flags


@dataclass(frozen=True, slots=True)
class Document:
    """One document after the duplicates are out; `exact` and `near` count the messages that are gone."""

    split: str
    messages: list[str]
    exact: int = 0
    near: int = 0


def read_blocks(clean: CleanText, flags: ItemFlags) -> Iterator[Block]:
    """Yield a source's documents in blocks of about half a megabyte."""
    item = clean.first_item
    rest = b""
    with clean.file.open("rb") as file:
        while chunk := file.read(_BLOCK_BYTES):
            rest += chunk
            end = rest.rfind(b"\n\n") + 2
            if end < 2:
                continue
            text, rest = rest[:end], rest[end:]
            items = np.arange(item, item + text.count(b"\n"), dtype=np.uint64)
            item += len(items)
            yield Block(text, flags.exact.contains(items), flags.near.contains(items), flags.heldout.contains(items))


def block_documents(block: Block) -> Iterator[Document]:
    """Yield the documents of a block; one that is a duplicate has no messages left."""
    item = 0
    for text in block.text.decode().removesuffix("\n\n").split("\n\n"):
        messages = text.split("\n")
        end = item + len(messages)
        split = HELDOUT if block.heldout[end] else TRAIN
        if block.exact[end]:
            yield Document(split, [], exact=len(messages))
        elif block.near[end]:
            yield Document(split, [], near=len(messages))
        else:
            kept = [message for message, gone in zip(messages, block.exact[item:end], strict=True) if not gone]
            yield Document(split, kept, exact=len(messages) - len(kept))
        item = end + 1


@dataclass(frozen=True, slots=True)
class EncodedSplit:
    """The token ids of one split of a block."""

    ids: npt.NDArray[np.uint16]
    num_messages: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class EncodedBlock:
    """A block as token ids, and the messages that did not get that far."""

    splits: dict[str, EncodedSplit]
    exact: int
    near: int
    short_document: int


@dataclass(frozen=True, slots=True)
class EncodeBlock:
    """The work on a block (a picklable callable for `Workers.map`).

    Attributes:
        tokenizer_dir: a folder with a tokenizer.
        tokenizer_digest: its digest.
        min_document_tokens: shorter documents go.
    """

    tokenizer_dir: Path
    tokenizer_digest: str
    min_document_tokens: int

    def __call__(self, block: Block) -> EncodedBlock:
        """Turn the documents of a block into ids: ``bos, message, eos, message, eos, ...`` each."""
        tokenizer = _load_tokenizer(self.tokenizer_dir, self.tokenizer_digest)
        exact = near = short = 0
        ids: dict[str, list[int]] = {split: [] for split in SPLITS}
        num_messages = dict.fromkeys(SPLITS, 0)
        num_bytes = dict.fromkeys(SPLITS, 0)
        for document in block_documents(block):
            exact += document.exact
            near += document.near
            if not document.messages:
                continue
            encoded = [tokenizer.bos_id]
            forms = [" ".join(tokenizer.form.encode_tokens(message)) for message in document.messages]
            for pieces in tokenizer.encode_forms(forms):
                encoded += pieces
                encoded.append(tokenizer.eos_id)
            if len(encoded) < self.min_document_tokens:
                short += len(document.messages)
                continue
            ids[document.split] += encoded
            num_messages[document.split] += len(document.messages)
            num_bytes[document.split] += sum(len(message.encode()) + 1 for message in document.messages)
        splits = {
            split: EncodedSplit(np.array(ids[split], TOKEN), num_messages[split], num_bytes[split]) for split in SPLITS
        }
        return EncodedBlock(splits, exact, near, short)


@lru_cache(maxsize=1)
def _load_tokenizer(folder: Path, digest: str) -> Tokenizer:
    # Once per process; the digest tells tokenizers apart that one folder held at different times.
    return Tokenizer.load(folder)
