"""First stages of a corpus: input unpacked where it is packed, fetched where it is far, and cut into parts.

A cut is a place where a document starts. Reading from one cut to another gives the documents that reading everything
would give between them, so parts can be cleaned apart.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from typing import IO, Any

from keyboard_lm_training.corpus.decompression import compression_of, unpack
from keyboard_lm_training.corpus.inputs import open_input
from keyboard_lm_training.corpus.plan import FILES, SHARD, URL
from keyboard_lm_training.corpus.sources import (
    DOCUMENTS,
    ROWS,
    SourceReader,
    SourceRecipe,
    dataset_shard,
    digested,
    kind_of,
    raw_lines,
    read_documents,
    url_documents,
)
from keyboard_lm_training.corpus.work import Part, Span, Values, Work

PARTS_AT_LEAST = 64  # where the text is small, parts are smaller than asked for, so that all cores have work
MAX_PARTITIONS = 4096
_CUTS_PER_PART = 16
_HASH_BYTES = 1 << 20


def scan_unit(work: Work, index: int) -> Values:
    """Find the cuts of one unit of the plan; unpack or fetch what cannot be read from the middle.

    Returns:
        ``streams``: for each file its name, kind, origin and cuts (byte, lines before, rows before); ``sha256``, where
        the unit is the whole of its source.
    """
    unit = work.plan["units"][index]
    source = work.recipe.sources[unit["source"]]
    raw_name = f"raw/{index}"
    step = max(1, int(work.plan["part_bytes"]) // _CUTS_PER_PART)
    if unit["kind"] != FILES:
        reader = None
        if unit["kind"] == URL:
            documents = url_documents(source, unit["url"])
        elif unit["kind"] == SHARD:
            documents = dataset_shard(source, unit["shard"], unit["of"])
        else:
            reader = SourceReader(source, str(work.plan["data_dir"]))
            documents = iter(reader)
        with work.storage.replaced(raw_name) as raw:
            cuts = _write_documents(documents, raw, step)
        stream = {"name": raw_name, "is_raw": True, "kind": DOCUMENTS, "origin": source.name, "cuts": cuts}
        return {"streams": [stream], **({"sha256": reader.sha256} if reader else {})}
    streams: list[Values] = []
    with contextlib.ExitStack() as stack:
        spool: IO[bytes] | None = None
        for file in unit["files"]:
            place = file["place"]
            compression = compression_of(place)
            if compression and spool is None:
                spool = stack.enter_context(work.storage.replaced(raw_name))
            with open_input(place) as opened:
                cuts = find_cuts(
                    unpack(opened, compression), kind_of(place), source, place, step, spool if compression else None
                )
            streams.append(
                {"name": raw_name if compression else place, "is_raw": bool(compression), "kind": kind_of(place),
                 "origin": place, "cuts": cuts}
            )  # fmt: skip
    return {"streams": streams}


def find_cuts(
    stream: IO[bytes], kind: str, source: SourceRecipe, where: str, step: int, copy: IO[bytes] | None = None
) -> list[list[int]]:
    """Return the places, at least `step` bytes apart, where a document starts; the stream's end is the last.

    Args:
        stream: of one whole file.
        kind: ``text`` or ``rows``.
        source: says when a document ends.
        where: the file's name, for messages.
        step: smallest distance of two cuts in bytes.
        copy: receives everything that is read; cuts are positions in it.

    Returns:
        (byte, lines before, rows before) of each.
    """
    start = position = copy.tell() if copy else 0
    limit = source.document_messages
    cuts, rows, count, number = [[start, 0, 0]], 0, 0, 0
    for number, line in enumerate(raw_lines(stream, where), 1):
        if copy:
            copy.write(line)
        position += len(line)
        is_blank = not 0x20 < line[0] < 0x7F and line.decode("utf-8", "replace").isspace()
        if kind == ROWS:
            rows += not is_blank
        else:
            count = 0 if is_blank or count + 1 == limit else count + 1
        if not count and position - start >= step:
            cuts.append([position, number, rows])
            start = position
    if position > cuts[-1][0]:
        cuts.append([position, number, rows])
    return cuts


def _write_documents(documents: Iterable[list[str]], raw: IO[bytes], step: int) -> list[list[int]]:
    cuts, position, number = [[0, 0, 0]], 0, 0
    for number, document in enumerate(documents, 1):
        position += raw.write(json.dumps(document).encode() + b"\n")
        if position - cuts[-1][0] >= step:
            cuts.append([position, number, number])
    if position > cuts[-1][0]:
        cuts.append([position, number, number])
    return cuts


def make_parts(work: Work, index: int) -> Values:
    """Cut the sources into parts, in the order of the recipe and of its files."""
    units = work.plan["units"]
    total = 0
    for number in range(len(units)):  # one at a time: the cuts of terabytes do not fit into memory together
        total += sum(s["cuts"][-1][0] - s["cuts"][0][0] for s in work.mark("scan", number)["streams"])
    part_bytes = int(work.plan["part_bytes"])
    part_bytes = min(part_bytes, max(part_bytes // _CUTS_PER_PART, total // PARTS_AT_LEAST))
    parts: list[Values] = []
    for source in range(len(work.recipe.sources)):
        streams = (
            stream
            for number, unit in enumerate(units)
            if unit["source"] == source
            for stream in work.mark("scan", number)["streams"]
        )
        spans: list[list[Any]] = []
        size = 0
        for span in _spans(streams, part_bytes):
            length = span.end - span.start
            if spans and size + length > part_bytes:
                parts.append({"source": source, "spans": spans})
                spans, size = [], 0
            spans.append([getattr(span, name) for name in Span.__slots__])
            size += length
        parts.append({"source": source, "spans": spans})
    partitions = 1
    while partitions < min(MAX_PARTITIONS, max(2, total / part_bytes / 8)):
        partitions *= 2
    work.save("parts.json", {"parts": parts, "num_partitions": partitions, "bytes": total})
    return {}


def _spans(streams: Iterable[Values], part_bytes: int) -> Iterator[Span]:
    for stream in streams:
        cuts = stream["cuts"]
        begin = 0
        for end in range(1, len(cuts)):
            is_last = end == len(cuts) - 1
            if is_last or cuts[end + 1][0] - cuts[begin][0] > part_bytes:
                (start, line, row), stop = cuts[begin], cuts[end][0]
                yield Span(stream["name"], stream["is_raw"], stream["kind"], stream["origin"], start, stop, line, row)
                begin = end


def part_documents(work: Work, part: Part) -> Iterator[list[str]]:
    """Yield the raw documents of a part.

    Raises:
        DataError: the input is damaged, is not UTF-8, or has no such text field.
    """
    source = work.recipe.sources[part.source]
    for span in part.spans:
        opened: Any
        if span.is_raw:
            opened = work.storage.open(span.name)
            opened.seek(span.start)
        else:
            opened = open_input(span.name, span.start)
        with opened:
            stream = io.BufferedReader(_Section(opened, span.end - span.start), _HASH_BYTES)
            yield from read_documents(stream, span.kind, source, span.origin, span.line, span.row)


class _Section(io.RawIOBase):
    """The next so many bytes of a stream."""

    def __init__(self, stream: IO[bytes], num_bytes: int) -> None:
        self._stream = stream
        self._left = num_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left)) or b""
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def digest_source(work: Work, number: int) -> str:
    """Return the digest of a source's input: of the files' bytes, or of the text that was fetched."""
    units = [(index, unit) for index, unit in enumerate(work.plan["units"]) if unit["source"] == number]
    sha = hashlib.sha256()
    for index, unit in units:
        if unit["kind"] == FILES:
            for file in unit["files"]:
                with open_input(file["place"]) as stream:
                    while data := stream.read(_HASH_BYTES):
                        sha.update(data)
        elif "sha256" in (mark := work.mark("scan", index)):
            return str(mark["sha256"])
        else:
            with work.storage.open(f"raw/{index}") as raw:
                for line in raw:
                    sha.update(digested(json.loads(line)))
    return sha.hexdigest()
