"""The corpus folder: its file names, its manifest, and its shards of token ids.

A shard is a flat file of little-endian uint16 token ids: each document starts with ``bos_id``, each message ends with
``eos_id``. The manifest is written last, and the folder gets its name after that: a folder with a manifest is whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from keyboard_lm.errors import DataError
from keyboard_lm.files import write_text_whole

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
TRAIN = "train"
HELDOUT = "heldout"
SPLITS = (TRAIN, HELDOUT)
TOKEN = np.dtype("<u2")
MAX_VOCAB_SIZE = 1 << 16
MAX_SHARD_TOKENS = 1 << 27  # 256 MiB


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """What became of one source.

    Attributes:
        name: the recipe's name for it.
        weight: the sampling weight per token, relative to the other sources; 1 is the natural frequency.
        licence: as the recipe states it.
        sha256: of the input files, or of the streamed text of a dataset.
        documents_read: documents before cleaning.
        messages_read: messages before cleaning.
        dropped: messages dropped by reason (see `keyboard_lm_training.corpus.clean`).
        exact_duplicates: messages dropped with or as an exact duplicate.
        near_duplicates: messages dropped with a near-duplicate document.
    """

    name: str
    weight: float
    licence: str
    sha256: str
    documents_read: int
    messages_read: int
    dropped: Mapping[str, int]
    exact_duplicates: int
    near_duplicates: int


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One shard file.

    Attributes:
        file: path relative to the corpus folder.
        source: name of the source.
        split: ``train`` or ``heldout``.
        num_tokens: token ids in the file.
        num_messages: messages in the file.
        num_bytes: UTF-8 bytes of the normalised messages, one line feed each: the denominator of bits per byte.
        sha256: of the file.
    """

    file: str
    source: str
    split: str
    num_tokens: int
    num_messages: int
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CorpusManifest:
    """Everything a trainer needs to know about a corpus folder.

    Attributes:
        tokenizer_digest: `keyboard_lm.network.tokenizer.Tokenizer.digest` of the folder's tokenizer.
        vocab_size: pieces of the tokenizer.
        recipe: the recipe, as plain values.
        sources: in the order of the recipe.
        shards: in the order of the recipe, training shards of a source first.
    """

    tokenizer_digest: str
    vocab_size: int
    recipe: Mapping[str, Any]
    sources: tuple[SourceRecord, ...]
    shards: tuple[ShardRecord, ...]

    def save(self, folder: Path) -> None:
        """Write the manifest into an existing folder, whole or not at all."""
        write_text_whole(folder / MANIFEST_FILE, self.to_json())

    def to_json(self) -> str:
        """Return what the manifest's file holds."""
        values = {"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, folder: Path) -> CorpusManifest:
        """Read a corpus folder's manifest and check that every shard has its size.

        Raises:
            DataError: no corpus there, a manifest of another format, or a missing or truncated shard.
        """
        path = folder / MANIFEST_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise DataError(f"{folder}: no corpus here ({MANIFEST_FILE} is missing); run keyboard-lm corpus") from None
        except NotADirectoryError:
            raise DataError(
                f"{folder}: a file, not a corpus; make one of it with keyboard-lm corpus {folder} -o FOLDER"
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error}); rebuild the corpus") from None
        manifest = cls.from_json(text, str(path))
        for shard in manifest.shards:
            _check_size(folder, shard)
        return manifest

    @classmethod
    def from_json(cls, text: str, where: str) -> CorpusManifest:
        """Return the manifest that a file holds.

        Args:
            text: of the file.
            where: its path or URL, for messages.

        Raises:
            DataError: it is damaged, or of another format.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise DataError(f"{where}: cannot be read ({error}); rebuild the corpus") from None
        version = values.get("format_version") if isinstance(values, dict) else None
        if version != FORMAT_VERSION:
            raise DataError(
                f"{where}: corpus format {version}, but this version reads {FORMAT_VERSION}; rebuild the corpus"
            )
        try:
            return cls(
                tokenizer_digest=str(values["tokenizer_digest"]),
                vocab_size=int(values["vocab_size"]),
                recipe=dict(values["recipe"]),
                sources=tuple(SourceRecord(**source) for source in values["sources"]),
                shards=tuple(ShardRecord(**shard) for shard in values["shards"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where}: damaged ({type(error).__name__}: {error}); rebuild the corpus") from None

    def shards_of(self, split: str, source: str | None = None) -> tuple[ShardRecord, ...]:
        """Return the shards of one split, of one source if given."""
        return tuple(s for s in self.shards if s.split == split and source in (None, s.source))

    def num_tokens(self, split: str, source: str | None = None) -> int:
        """Return the token ids of one split, of one source if given."""
        return sum(shard.num_tokens for shard in self.shards_of(split, source))

    def verify(self, folder: Path) -> None:
        """Compare the digest of every shard with the manifest (reads the whole corpus).

        Raises:
            DataError: a shard is missing, truncated or changed.
        """
        for shard in self.shards:
            _check_size(folder, shard)
            with (folder / shard.file).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != shard.sha256:
                raise DataError(f"{folder / shard.file}: changed since it was written; rebuild the corpus")


def open_shard(folder: Path, shard: ShardRecord) -> np.memmap[Any, np.dtype[np.uint16]]:
    """Map a shard's token ids, read-only: uint16, (num_tokens,).

    Raises:
        DataError: the file is missing or truncated.
    """
    _check_size(folder, shard)
    try:
        return np.memmap(folder / shard.file, TOKEN, "r")
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / shard.file}: cannot be read ({error}); check its permissions") from None


def _check_size(folder: Path, shard: ShardRecord) -> None:
    path = folder / shard.file
    try:
        size = path.stat().st_size
    except OSError:
        raise DataError(f"{path}: the shard is missing; rebuild the corpus") from None
    expected = shard.num_tokens * TOKEN.itemsize
    if size != expected:
        raise DataError(f"{path}: {size} bytes instead of {expected}; the shard is truncated, rebuild the corpus")


class ShardWriter:
    """Writes the shards of one source and one split; no file exists before the first token.

    Args:
        folder: the corpus folder under construction.
        source: the source's name.
        split: ``train`` or ``heldout``.
        max_tokens: a new shard starts once one holds this many.
    """

    def __init__(self, folder: Path, source: str, split: str, max_tokens: int = MAX_SHARD_TOKENS) -> None:
        self._folder = folder
        self._source = source
        self._split = split
        self._max_tokens = max_tokens
        self._records: list[ShardRecord] = []
        self._file: IO[bytes] | None = None
        self._start()

    def _start(self) -> None:
        self._sha = hashlib.sha256()
        self._counts = np.zeros(3, np.int64)  # tokens, messages, bytes

    @property
    def _name(self) -> str:
        return f"{self._split}/{self._source}-{len(self._records):05}.bin"

    def append(self, ids: npt.NDArray[np.uint16], num_messages: int, num_bytes: int) -> None:
        """Append whole documents.

        Args:
            ids: their token ids, one after the other.
            num_messages: how many messages they have.
            num_bytes: UTF-8 bytes of their normalised text.
        """
        if not len(ids):
            return
        if self._file is None:
            path = self._folder / self._name
            path.parent.mkdir(exist_ok=True)
            self._file = path.open("wb")
        data = ids.astype(TOKEN, copy=False).tobytes()
        self._file.write(data)
        self._sha.update(data)
        self._counts += (len(ids), num_messages, num_bytes)
        if self._counts[0] >= self._max_tokens:
            self._finish()

    def _finish(self) -> None:
        if self._file is None:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        tokens, messages, num_bytes = map(int, self._counts)
        self._records.append(
            ShardRecord(self._name, self._source, self._split, tokens, messages, num_bytes, self._sha.hexdigest())
        )
        self._start()

    def close(self) -> list[ShardRecord]:
        """Finish the last shard and return the records of all."""
        self._finish()
        return self._records
