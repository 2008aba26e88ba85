"""Readers that turn one source of a recipe into a stream of raw documents."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any
from urllib.request import urlopen

from keyboard_lm.errors import DataError, KeyboardLMError, MissingExtraError
from keyboard_lm_training.corpus.decompression import compression_of, unpack
from keyboard_lm_training.corpus.inputs import find_inputs, open_input

MAX_LINE_BYTES = 64 * 1024 * 1024
_JSON_LINES = (".jsonl", ".ndjson")
_TIMEOUT_SECONDS = 60
TEXT = "text"
ROWS = "rows"
DOCUMENTS = "documents"


@dataclass(frozen=True, slots=True)
class SourceRecipe:
    """Where one source's text is, and how much of it to use.

    Attributes:
        name: file-name-safe name; its shards carry it.
        weight: how often a trainer draws from this source; `Recipe.weights` says relative to what.
        licence: what the text may be used under; copied to the manifest.
        path: a file or a glob pattern, relative to the data folder. Text, or JSON lines when it ends in ``.jsonl``;
            ``.xz``, ``.gz`` and ``.zst`` are unpacked on the fly. Exactly one of `path` and `dataset` is given.
        dataset: a Hugging Face dataset name, streamed.
        config: the dataset's configuration, ``""`` for its default.
        split: the dataset's split.
        revision: the dataset's commit or tag, ``""`` for the newest.
        url_list: a file of the dataset's repository that lists the URLs of its JSON lines, for datasets whose only
            other way in is a loading script (`datasets` 4 runs none).
        url_contains: the URLs of `url_list` to read are those with this in them.
        text_field: the field of a JSON line or of a dataset row that holds the text.
        document_messages: a document is cut after this many messages; 1 makes every line a document of its own.
        max_documents: stop after this many documents; 0 reads all.
    """

    name: str
    weight: float = 1.0
    licence: str = "unknown"
    path: str = ""
    dataset: str = ""
    config: str = ""
    split: str = "train"
    revision: str = ""
    url_list: str = ""
    url_contains: str = ""
    text_field: str = "text"
    document_messages: int = 1000
    max_documents: int = 0

    def mistakes(self) -> list[str]:
        """Return what is wrong with the values, in words."""
        found = []
        if not self.name or not all(c.isalnum() or c in "._-" for c in self.name) or not self.name.isascii():
            found.append(f"name must be letters, digits, '.', '_' or '-', not {self.name!r}")
        if not 0 < self.weight < float("inf"):
            found.append(f"weight must be a positive number, not {self.weight!r}")
        if bool(self.path) == bool(self.dataset):
            found.append("give either path or dataset")
        if self.document_messages < 1:
            found.append(f"document_messages must be at least 1, not {self.document_messages}")
        if self.max_documents < 0:
            found.append(f"max_documents must not be negative, not {self.max_documents}")
        return found


class SourceReader:
    """One pass over the documents of a source; a document is the list of its raw lines.

    Args:
        source: what to read.
        data_dir: the folder or URL that relative paths start from.

    Raises:
        DataError: from the constructor when files are missing; while iterating when the input is damaged, is not
            UTF-8, has no such text field, or cannot be fetched.
        MissingExtraError: the package that reads this kind of input is not installed.
    """

    def __init__(self, source: SourceRecipe, data_dir: Path | str) -> None:
        self.source = source
        self.files = find_inputs(source.name, source.path, str(data_dir)) if source.path else []
        self.total_bytes = sum(file.size for file in self.files)
        self.bytes_read = 0
        self._sha = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Digest of the bytes of the files that were opened, or of the streamed text of a dataset."""
        return self._sha.hexdigest()

    def __iter__(self) -> Iterator[list[str]]:
        return self._from_files() if self.source.path else self._from_dataset()

    def _from_files(self) -> Iterator[list[str]]:
        num_documents = 0
        for file in self.files:
            with open_input(file.place) as opened:
                raw = _CountedFile(opened, self)
                stream = unpack(raw, compression_of(file.name))
                for document in read_documents(stream, kind_of(file.name), self.source, file.place):
                    yield document
                    num_documents += 1
                    if num_documents == self.source.max_documents:
                        break
                while raw.read(1 << 20):  # the digest is of the whole file
                    pass
            if num_documents == self.source.max_documents > 0:
                return

    def _from_dataset(self) -> Iterator[list[str]]:
        source = self.source
        with _dataset_errors(source):
            if source.url_list:
                documents: Iterator[list[str]] = (
                    document for url in dataset_urls(source) for document in url_documents(source, url)
                )
            else:
                documents = _documents_of_rows(stream_rows(source), source, dataset_label(source))
            for document in islice(documents, source.max_documents or None):
                self._sha.update(digested(document))
                yield document


def digested(document: list[str]) -> bytes:
    """Return what the digest of a dataset takes of one document."""
    return "\n".join([*document, "", ""]).encode("utf-8", "surrogatepass")


def kind_of(name: str) -> str:
    """Return how a file of this name holds its documents: ``text``, ``rows`` or ``documents``."""
    return ROWS if name.removesuffix(compression_of(name)).endswith(_JSON_LINES) else TEXT


def read_documents(
    stream: IO[bytes], kind: str, source: SourceRecipe, where: str, line: int = 0, row: int = 0
) -> Iterator[list[str]]:
    """Yield the documents of an unpacked stream.

    Args:
        stream: starts where a document does.
        kind: ``text``, ``rows``, or ``documents`` (a JSON list of lines on each line).
        source: how documents are made of it.
        where: the stream's name, for messages.
        line: lines before the stream's first.
        row: rows before its first.

    Raises:
        DataError: the input is damaged, is not UTF-8, or has no such text field.
    """
    lines = _read_lines(stream, where, line)
    if kind == TEXT:
        return _documents_of_lines(lines, source.document_messages)
    if kind == ROWS:
        return _documents_of_rows(_parse_rows(lines, where), source, where, row)
    return (json.loads(text) for _, text in lines)


def _documents_of_lines(lines: Iterable[tuple[int, str]], max_messages: int) -> Iterator[list[str]]:
    document: list[str] = []
    for _, line in lines:
        if line.isspace():
            if document:
                yield document
                document = []
            continue
        document.append(line)
        if len(document) == max_messages:
            yield document
            document = []
    if document:
        yield document


def _documents_of_rows(
    rows: Iterable[dict[str, Any]], source: SourceRecipe, where: str, before: int = 0
) -> Iterator[list[str]]:
    name = source.text_field
    for number, row in enumerate(rows, before + 1):
        text = row.get(name)
        if not isinstance(text, str):
            fields = ", ".join(map(str, row)) or "none"
            raise DataError(
                f"{where}: row {number} has no text in the field {name!r} (fields: {fields}); set text_field"
            )
        document = [line for line in text.splitlines() if line.strip()]
        del row, text  # of a row as long as a line may be, each copy counts
        for start in range(0, len(document), source.document_messages):
            yield document[start : start + source.document_messages]


def dataset_label(source: SourceRecipe) -> str:
    """Return what messages call a source's dataset."""
    return f"dataset {source.dataset}" + (f" ({source.config})" if source.config else "")


@contextmanager
def _dataset_errors(source: SourceRecipe) -> Iterator[None]:
    try:
        yield
    except KeyboardLMError:
        raise
    except Exception as error:  # the network stack below `datasets` raises dozens of unrelated types
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{dataset_label(source)}: cannot be read ({reason}); check its name, config and split, your access and"
            " connection"
        ) from None


def stream_rows(source: SourceRecipe, shard: int = 0, num_shards: int = 1) -> Iterable[dict[str, Any]]:
    """Return the rows of a Hugging Face dataset, or of one of its shards: whole files, in their order.

    Raises:
        MissingExtraError: `datasets` is not installed.
    """
    dataset = _load_dataset(source)
    rows: Iterable[dict[str, Any]] = (
        dataset if num_shards == 1 else dataset.shard(num_shards=num_shards, index=shard, contiguous=True)
    )
    return rows


def _load_dataset(source: SourceRecipe) -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtraError("datasets", "data") from None
    return datasets.load_dataset(
        source.dataset,
        source.config or None,
        split=source.split,
        revision=source.revision or None,
        streaming=True,
    )


def num_dataset_shards(source: SourceRecipe) -> int:
    """Return in how many shards a dataset can be streamed.

    Raises:
        DataError: the dataset cannot be reached.
        MissingExtraError: `datasets` is not installed.
    """
    with _dataset_errors(source):
        return int(getattr(_load_dataset(source), "num_shards", 1))


def dataset_shard(source: SourceRecipe, shard: int, num_shards: int) -> Iterator[list[str]]:
    """Yield the documents of one shard of a dataset.

    Raises:
        DataError: it cannot be read.
    """
    with _dataset_errors(source):
        yield from _documents_of_rows(stream_rows(source, shard, num_shards), source, dataset_label(source))


def dataset_urls(source: SourceRecipe) -> list[str]:
    """Return the URLs of JSON lines that the repository of a source's dataset lists.

    Raises:
        DataError: none is listed, or the list cannot be read.
        MissingExtraError: `huggingface_hub` is not installed.
    """
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise MissingExtraError("huggingface_hub", "data") from None
    with _dataset_errors(source):
        listing = hub.hf_hub_download(
            source.dataset, source.url_list, repo_type="dataset", revision=source.revision or None
        )
        urls = Path(listing).read_text(encoding="utf-8").split()
    urls = [url for url in urls if source.url_contains in url]
    if not urls:
        raise DataError(
            f"{dataset_label(source)}: {source.url_list} lists no URL with {source.url_contains!r}; set url_contains"
        )
    return urls


def url_documents(source: SourceRecipe, url: str) -> Iterator[list[str]]:
    """Yield the documents of one URL of JSON lines.

    Raises:
        DataError: it cannot be read, or ended early.
    """
    with _dataset_errors(source), urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
        yield from read_documents(unpack(response, compression_of(url)), ROWS, source, url)
        if getattr(response, "length", 0):  # of HTTP, in bytes not received
            raise DataError(f"{url}: the connection ended early; run again")


class _CountedFile(io.RawIOBase):
    """A raw file whose bytes pass through the reader's digest."""

    def __init__(self, file: io.RawIOBase, reader: SourceReader) -> None:
        self._file = file
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self._reader._sha.update(memoryview(buffer)[:count])
        self._reader.bytes_read += count
        return count


def raw_lines(stream: IO[bytes], where: str, before: int = 0) -> Iterator[bytes]:
    """Yield the lines of a stream as they are, `before` of which came earlier.

    Raises:
        DataError: the stream is damaged, or a line is too long.
    """
    number = before
    while True:
        number += 1
        try:
            line = stream.readline(MAX_LINE_BYTES + 1)
        except (OSError, EOFError) as error:
            raise DataError(f"{where}: cannot be read beyond line {number - 1} ({error}); restore the file") from None
        if not line:
            return
        if len(line) > MAX_LINE_BYTES:
            limit = MAX_LINE_BYTES // 1024 // 1024
            raise DataError(f"{where}: line {number} is longer than {limit} MiB; put one message on each line")
        yield line


def _read_lines(stream: IO[bytes], where: str, before: int = 0) -> Iterator[tuple[int, str]]:
    """Yield (line number, text), and turn what can go wrong with the bytes into `DataError`."""
    for number, line in enumerate(raw_lines(stream, where, before), before + 1):
        try:
            yield number, line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{where}: line {number}, byte {error.start + 1} is not UTF-8; convert the file (iconv -t UTF-8)"
            ) from None


def _parse_rows(lines: Iterable[tuple[int, str]], where: str) -> Iterator[dict[str, Any]]:
    for number, line in lines:
        if line.isspace():
            continue
        try:
            row = json.loads(line)
            del line
        except ValueError as error:
            raise DataError(f"{where}: line {number} is not JSON ({error}); write one object per line") from None
        if not isinstance(row, dict):
            raise DataError(f"{where}: line {number} is not a JSON object; write one object per line")
        yield row
        del row
