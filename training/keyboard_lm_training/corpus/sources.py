"""Readers that turn one source of a recipe into a stream of raw documents."""

from __future__ import annotations

import glob
import hashlib
import importlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any
from urllib.request import urlopen

from keyboard_lm.errors import DataError, KeyboardLMError, MissingExtraError
from keyboard_lm_training.corpus.decompression import compression_of, unpack

MAX_LINE_BYTES = 64 * 1024 * 1024
_JSON_LINES = (".jsonl", ".ndjson")
_TIMEOUT_SECONDS = 60


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
        data_dir: the folder that relative paths start from.

    Raises:
        DataError: from the constructor when files are missing; while iterating when the input is damaged, is not
            UTF-8, has no such text field, or cannot be fetched.
        MissingExtraError: the package that reads this kind of input is not installed.
    """

    def __init__(self, source: SourceRecipe, data_dir: Path) -> None:
        self.source = source
        self.paths = _find_files(source, data_dir) if source.path else []
        self.total_bytes = sum(path.stat().st_size for path in self.paths)
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
        for path in self.paths:
            compression = compression_of(path.name)
            try:
                file = path.open("rb", buffering=0)
            except OSError as error:
                raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
            with file:
                raw = _CountedFile(file, self)
                lines = _read_lines(unpack(raw, compression), str(path))
                if path.name.removesuffix(compression).endswith(_JSON_LINES):
                    documents = self._from_rows(_parse_rows(lines, str(path)), str(path))
                else:
                    documents = self._from_lines(lines)
                for document in documents:
                    yield document
                    num_documents += 1
                    if num_documents == self.source.max_documents:
                        break
                while raw.read(1 << 20):  # the digest is of the whole file
                    pass
            if num_documents == self.source.max_documents > 0:
                return

    def _from_lines(self, lines: Iterable[tuple[int, str]]) -> Iterator[list[str]]:
        document: list[str] = []
        for _, line in lines:
            if line.isspace():
                if document:
                    yield document
                    document = []
                continue
            document.append(line)
            if len(document) == self.source.document_messages:
                yield document
                document = []
        if document:
            yield document

    def _from_rows(self, rows: Iterable[dict[str, Any]], where: str) -> Iterator[list[str]]:
        name = self.source.text_field
        for number, row in enumerate(rows, 1):
            text = row.get(name)
            if not isinstance(text, str):
                fields = ", ".join(map(str, row)) or "none"
                raise DataError(
                    f"{where}: row {number} has no text in the field {name!r} (fields: {fields}); set text_field"
                )
            document = [line for line in text.splitlines() if line.strip()]
            for start in range(0, len(document), self.source.document_messages):
                yield document[start : start + self.source.document_messages]

    def _from_dataset(self) -> Iterator[list[str]]:
        source = self.source
        label = f"dataset {source.dataset}" + (f" ({source.config})" if source.config else "")
        try:
            documents = self._from_urls(label) if source.url_list else self._from_rows(self._stream_rows(), label)
            for document in islice(documents, source.max_documents or None):
                self._sha.update("\n".join([*document, "", ""]).encode("utf-8", "surrogatepass"))
                yield document
        except KeyboardLMError:
            raise
        except Exception as error:  # the network stack below `datasets` raises dozens of unrelated types
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataError(
                f"{label}: cannot be read ({reason}); check its name, config and split, your access and connection"
            ) from None

    def _stream_rows(self) -> Iterable[dict[str, Any]]:
        try:
            import datasets
        except ImportError:
            raise MissingExtraError("datasets", "data") from None
        source = self.source
        rows: Iterable[dict[str, Any]] = datasets.load_dataset(
            source.dataset,
            source.config or None,
            split=source.split,
            revision=source.revision or None,
            streaming=True,
        )
        return rows

    def _from_urls(self, label: str) -> Iterator[list[str]]:
        try:
            hub = importlib.import_module("huggingface_hub")
        except ImportError:
            raise MissingExtraError("huggingface_hub", "data") from None
        source = self.source
        listing = hub.hf_hub_download(
            source.dataset, source.url_list, repo_type="dataset", revision=source.revision or None
        )
        urls = Path(listing).read_text(encoding="utf-8").split()
        urls = [url for url in urls if source.url_contains in url]
        if not urls:
            raise DataError(f"{label}: {source.url_list} lists no URL with {source.url_contains!r}; set url_contains")
        for url in urls:
            with urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
                yield from self._from_rows(
                    _parse_rows(_read_lines(unpack(response, compression_of(url)), url), url), url
                )
                if getattr(response, "length", 0):  # of HTTP, in bytes not received
                    raise DataError(f"{url}: the connection ended early; run again")


class _CountedFile(io.RawIOBase):
    """A raw file whose bytes pass through the reader's digest."""

    def __init__(self, file: io.FileIO, reader: SourceReader) -> None:
        self._file = file
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self._reader._sha.update(memoryview(buffer)[:count])
        self._reader.bytes_read += count
        return count


def _find_files(source: SourceRecipe, data_dir: Path) -> list[Path]:
    pattern = data_dir / source.path
    if pattern.is_file():
        return [pattern]
    if pattern.is_dir():
        raise DataError(f"source {source.name}: {pattern} is a folder; name a file or a pattern such as '*.txt'")
    names = glob.glob(source.path, root_dir=data_dir, recursive=True)
    paths = sorted(path for name in names if (path := data_dir / name).is_file())
    if not paths:
        raise DataError(f"source {source.name}: no file {pattern}; check the path and --data-dir")
    return paths


def _read_lines(stream: IO[bytes], where: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, text), and turn what can go wrong with the bytes into `DataError`."""
    number = 0
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
        except ValueError as error:
            raise DataError(f"{where}: line {number} is not JSON ({error}); write one object per line") from None
        if not isinstance(row, dict):
            raise DataError(f"{where}: line {number} is not a JSON object; write one object per line")
        yield row
