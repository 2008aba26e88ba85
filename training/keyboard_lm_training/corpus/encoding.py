"""Encoding of a part: what was decided about each item, and what is left as token ids."""

from __future__ import annotations

import contextlib
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import IO

import numpy as np
import numpy.typing as npt

from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm_training.corpus.cleaning import HELDOUT_DOCUMENT
from keyboard_lm_training.corpus.decisions import EXACT, NEAR
from keyboard_lm_training.corpus.shards import HELDOUT, SPLITS, TOKEN, TRAIN
from keyboard_lm_training.corpus.tokenizer_stages import load_tokenizer
from keyboard_lm_training.corpus.work import Flags, Values, Work
from keyboard_lm_training.storage import Storage

_MESSAGES_AT_ONCE = 100  # of a document; some are books
BLOCK_TYPE = np.dtype("<i8")
_BLOCK_BYTES = 1 << 19  # part of the result: shards are cut where such a stretch of a source ends


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole documents of clean text, with a byte of decisions for each item.

    Attributes:
        number: of the half megabyte of its source in which its documents end; shards are cut between blocks.
        text: the documents.
        flags: `DOCUMENT`, `HELDOUT_DOCUMENT`, `EXACT` and `NEAR` of each item.
    """

    number: int
    text: bytes
    flags: Flags


@dataclass(frozen=True, slots=True)
class Document:
    """One document after the duplicates are out; `exact` and `near` count the messages that are gone."""

    split: str
    messages: list[str]
    exact: int = 0
    near: int = 0


def read_blocks(text: IO[bytes], start: int, flags: Flags) -> Iterator[Block]:
    """Yield the documents of a stretch of a source's clean text, in blocks of about half a megabyte.

    Args:
        text: the stretch; it starts and ends between documents.
        start: where it starts in the source.
        flags: of its items.
    """
    item = 0
    rest = b""
    while chunk := text.read(_BLOCK_BYTES - start % _BLOCK_BYTES):
        number = start // _BLOCK_BYTES
        start += len(chunk)
        rest += chunk
        end = rest.rfind(b"\n\n") + 2
        if end < 2:
            continue
        block, rest = rest[:end], rest[end:]
        num_items = block.count(b"\n")
        yield Block(number, block, flags[item : item + num_items])
        item += num_items


def block_documents(block: Block) -> Iterator[Document]:
    """Yield the documents of a block; one that is a duplicate has no messages left."""
    item = 0
    for text in block.text.decode().removesuffix("\n\n").split("\n\n"):
        messages = text.split("\n")
        end = item + len(messages)
        decided = int(block.flags[end])
        split = HELDOUT if decided & HELDOUT_DOCUMENT else TRAIN
        if decided & EXACT:
            yield Document(split, [], exact=len(messages))
        elif decided & NEAR:
            yield Document(split, [], near=len(messages))
        else:
            gone = (block.flags[item:end] & EXACT).tolist()
            kept = [message for message, flag in zip(messages, gone, strict=True) if not flag]
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
    """The work on a block.

    Attributes:
        tokenizer: of the corpus.
        min_document_tokens: shorter documents go.
    """

    tokenizer: Tokenizer
    min_document_tokens: int

    def __call__(self, block: Block) -> EncodedBlock:
        """Turn the documents of a block into ids: ``bos, message, eos, message, eos, ...`` each."""
        tokenizer = self.tokenizer
        exact = near = short = 0
        ids = {split: array("H") for split in SPLITS}  # a list of numbers would take sixteen times as much
        num_messages = dict.fromkeys(SPLITS, 0)
        num_bytes = dict.fromkeys(SPLITS, 0)
        for document in block_documents(block):
            exact += document.exact
            near += document.near
            if not document.messages:
                continue
            encoded = array("H", [tokenizer.bos_id])
            for start in range(0, len(document.messages), _MESSAGES_AT_ONCE):
                some = document.messages[start : start + _MESSAGES_AT_ONCE]
                forms = [" ".join(tokenizer.form.encode_tokens(message)) for message in some]
                for pieces in tokenizer.encode_forms(forms):
                    encoded.extend(pieces)
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


def encode_part(work: Work, part: int) -> Values:
    """Write the token ids of a part, split by split.

    Returns:
        ``exact``, ``near`` and ``short_document``: messages lost since cleaning. A file says for each block and split
        (block, split, tokens, messages, bytes).
    """
    task = EncodeBlock(_load_tokenizer(work.corpus, work.load("tokenizer.json")["digest"]),
                       work.recipe.clean.min_document_tokens)  # fmt: skip
    lost = Counter(exact=0, near=0, short_document=0)
    blocks: list[list[int]] = []
    with contextlib.ExitStack() as stack:
        text = stack.enter_context(work.storage.open(f"text/{part}"))
        outputs = {split: stack.enter_context(work.storage.replaced(f"ids/{split}-{part}")) for split in SPLITS}
        for block in read_blocks(text, work.clean_parts[part].start, work.flags(part)):
            encoded = task(block)
            lost.update(exact=encoded.exact, near=encoded.near, short_document=encoded.short_document)
            for number, (split, found) in enumerate(encoded.splits.items()):
                if len(found.ids):
                    outputs[split].write(found.ids.astype(TOKEN, copy=False).tobytes())
                    blocks.append([block.number, number, len(found.ids), found.num_messages, found.num_bytes])
    work.storage.write(f"blocks/{part}", np.array(blocks, BLOCK_TYPE).tobytes())
    return dict(lost)


@lru_cache(maxsize=1)
def _load_tokenizer(corpus: Storage, digest: str) -> Tokenizer:
    # Once per process; the digest tells tokenizers apart that one folder held at different times.
    return load_tokenizer(corpus)
