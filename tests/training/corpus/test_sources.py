"""Laws of the readers: one stream of documents from every kind of input, one clear error from every kind of damage."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from keyboard_lm_training.corpus import sources
from keyboard_lm_training.corpus.sources import SourceReader, SourceRecipe

from keyboard_lm.errors import DataError, MissingExtraError

TEXT = "Hi there\nHow are you?\n\n\nFine — thanks 😀\n\nBye\n"
DOCUMENTS = [["Hi there", "How are you?"], ["Fine — thanks 😀"], ["Bye"]]

Pack = Callable[[bytes], bytes]
PACKERS: dict[str, Pack] = {
    "": bytes,
    ".xz": lzma.compress,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
PACKED = {ending: pack for ending, pack in PACKERS.items() if ending}


def read(folder: Path, name: str, data: bytes, **options: Any) -> list[list[str]]:
    (folder / name).write_bytes(data)
    reader = SourceReader(SourceRecipe("s", path=name, **options), folder)
    return [[line.rstrip("\n") for line in document] for document in reader]


@pytest.mark.parametrize("ending", PACKERS)
def test_packed_text_reads_like_plain_text(tmp_path: Path, ending: str) -> None:
    assert read(tmp_path, f"chat.txt{ending}", PACKERS[ending](TEXT.encode())) == DOCUMENTS


@pytest.mark.parametrize("ending", PACKED)
def test_packed_streams_in_a_row_read_as_one(tmp_path: Path, ending: str) -> None:
    halves = TEXT.encode()[:20], TEXT.encode()[20:]
    assert read(tmp_path, f"chat.txt{ending}", b"".join(map(PACKED[ending], halves))) == DOCUMENTS


@pytest.mark.parametrize("ending", PACKED)
def test_truncation_anywhere_is_a_data_error(tmp_path: Path, ending: str) -> None:
    data = PACKED[ending](TEXT.encode() * 50)
    for end in range(1, len(data)):
        with pytest.raises(DataError, match="restore the file"):
            read(tmp_path, f"chat.txt{ending}", data[:end])


@pytest.mark.parametrize("ending", PACKED)
def test_a_file_that_is_not_what_its_name_says_is_a_data_error(tmp_path: Path, ending: str) -> None:
    with pytest.raises(DataError, match=r"chat\.txt"):
        read(tmp_path, f"chat.txt{ending}", TEXT.encode())


@pytest.mark.parametrize("ending", ["", ".xz"])
def test_json_lines_give_one_document_per_row(tmp_path: Path, ending: str) -> None:
    rows = [{"body": "\n".join(document), "id": number} for number, document in enumerate(DOCUMENTS)]
    data = "\n".join(json.dumps(row) for row in rows).encode()
    assert read(tmp_path, f"chat.jsonl{ending}", PACKERS[ending](data), text_field="body") == DOCUMENTS


@settings(max_examples=60)
@given(st.lists(st.integers(1, 5), max_size=6), st.integers(1, 4))
def test_cutting_documents_keeps_every_line_in_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int
) -> None:
    documents = [[f"line {number}.{i}" for i in range(size)] for number, size in enumerate(sizes)]
    text = "\n\n".join("\n".join(document) for document in documents)
    cut = read(tmp_path_factory.mktemp("cut"), "a.txt", text.encode(), document_messages=limit)
    assert [line for document in cut for line in document] == [line for document in documents for line in document]
    assert all(len(document) <= limit for document in cut)
    assert not any(len({line.split(".")[0] for line in document}) > 1 for document in cut)


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("a.txt", b"fine\nsome \xff bytes\n", "line 2, byte 6 is not UTF-8"),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', "line 2 is not JSON"),
        ("a.jsonl", b'["text"]\n', "line 1 is not a JSON object"),
        ("a.jsonl", b'{"body": "a", "id": 3}\n', "field 'text' (fields: body, id)"),
        ("a.jsonl", b'{"text": null}\n', "row 1 has no text"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, name: str, data: bytes, complaint: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, name, data)
    assert complaint in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_LINE_BYTES", 100)
    with pytest.raises(DataError, match="line 1 is longer"):
        read(tmp_path, "a.txt", b"x" * 1000)


@pytest.mark.parametrize(("path", "complaint"), [("none.txt", "no file"), ("*.none", "no file"), (".", "is a folder")])
def test_missing_files_are_found_before_anything_is_read(tmp_path: Path, path: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        SourceReader(SourceRecipe("s", path=path), tmp_path)


def test_a_pattern_reads_its_files_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        (tmp_path / f"{name}.txt").write_text(f"from {name}\n")
    assert [d[0].strip() for d in SourceReader(SourceRecipe("s", path="*.txt"), tmp_path)] == [
        "from a", "from b", "from c",
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_the_digest_is_of_the_whole_file_however_much_is_used(tmp_path: Path, limit: int) -> None:
    data = lzma.compress(TEXT.encode())
    (tmp_path / "a.txt.xz").write_bytes(data)
    reader = SourceReader(SourceRecipe("s", path="a.txt.xz", max_documents=limit), tmp_path)
    assert len(list(reader)) == (limit or 3)
    assert reader.sha256 == hashlib.sha256(data).hexdigest()
    assert reader.bytes_read == reader.total_bytes == len(data)


def fake_datasets(monkeypatch: pytest.MonkeyPatch, load: Callable[..., Iterable[dict[str, Any]]]) -> None:
    module = types.ModuleType("datasets")
    module.load_dataset = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_a_dataset_is_streamed_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def load(*args: Any, **kwargs: Any) -> Iterable[dict[str, Any]]:
        calls.append((args, kwargs))
        yield {"content": "a\nb"}
        yield {"content": "c"}
        raise AssertionError("more was read than max_documents asks for")

    fake_datasets(monkeypatch, load)
    source = SourceRecipe("s", dataset="o/n", config="en", text_field="content", max_documents=2)
    assert list(SourceReader(source, Path())) == [["a", "b"], ["c"]]
    assert calls == [(("o/n", "en"), {"split": "train", "revision": None, "streaming": True})]


def test_a_dataset_that_cannot_be_loaded_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: Any, **kwargs: Any) -> Iterable[dict[str, Any]]:
        raise FileNotFoundError("Dataset 'o/n' doesn't exist on the Hub\nlong explanation")

    fake_datasets(monkeypatch, load)
    with pytest.raises(DataError, match=r"dataset o/n: cannot be read \(Dataset 'o/n' doesn't exist") as caught:
        list(SourceReader(SourceRecipe("s", dataset="o/n"), Path()))
    assert "\n" not in str(caught.value)


def test_datasets_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"keyboard-lm\[data\]"):
        list(SourceReader(SourceRecipe("s", dataset="o/n"), Path()))


def test_a_url_list_selects_files_of_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, text in (("reddit", "hello\nyou"), ("wiki", "An article.")):
        (tmp_path / folder).mkdir()
        with gzip.open(tmp_path / folder / "0.json.gz", "wt") as file:
            file.write(json.dumps({"text": text}) + "\n")
    (tmp_path / "urls.txt").write_text(f"file://{tmp_path}/reddit/0.json.gz\nfile://{tmp_path}/wiki/0.json.gz\n")
    hub = types.ModuleType("huggingface_hub")
    hub.hf_hub_download = lambda *args, **kwargs: tmp_path / "urls.txt"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    source = SourceRecipe("s", dataset="o/n", url_list="urls.txt", url_contains="/reddit/")
    assert list(SourceReader(source, Path())) == [["hello", "you"]]
    missing = SourceRecipe("s", dataset="o/n", url_list="urls.txt", url_contains="/books/")
    with pytest.raises(DataError, match="lists no URL"):
        list(SourceReader(missing, Path()))
