"""Laws of storage: the same on a disk and behind fsspec, whole files or none, one line for whatever goes wrong."""

from __future__ import annotations

import pickle
import sys
import uuid
from pathlib import Path

import pytest
from keyboard_lm_training.storage import DiskStorage, ObjectStorage, Storage, is_private_to_process, open_storage

from keyboard_lm.errors import DataError, MissingExtraError, WriteError


@pytest.fixture(params=["disk", "local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    places = {"disk": f"{tmp_path}", "local": f"local://{tmp_path}", "memory": f"memory://{uuid.uuid4().hex}/out"}
    return open_storage(places[request.param])


def test_a_path_is_a_disk_and_an_url_is_not(tmp_path: Path) -> None:
    assert isinstance(open_storage(tmp_path), DiskStorage)
    assert isinstance(open_storage(f"file://{tmp_path}"), DiskStorage)
    assert isinstance(open_storage("memory://x"), ObjectStorage)
    assert is_private_to_process("memory://x")
    assert not is_private_to_process(f"{tmp_path}")


def test_what_was_written_is_read_whole_and_in_ranges(storage: Storage) -> None:
    storage.write("a/b.bin", b"0123456789")
    assert storage.read("a/b.bin") == b"0123456789"
    assert storage.size("a/b.bin") == 10
    assert storage.read_ranges("a/b.bin", [(2, 4), (9, 10), (5, 5), (10, 10), (0, 1)]) == [b"23", b"9", b"", b"", b"0"]
    with storage.open("a/b.bin") as stream:
        stream.seek(7)
        assert stream.read() == b"789"
    storage.write("a/b.bin", b"new")
    assert storage.read("a/b.bin") == b"new"


def test_a_store_is_never_asked_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # HTTP's ranges name their last byte, so an empty one cannot be said.
    storage = open_storage(f"memory://{uuid.uuid4().hex}")
    assert isinstance(storage, ObjectStorage)
    storage.write("a", b"0123")
    asked: list[tuple[int, int]] = []
    cat_ranges = storage._files.cat_ranges

    def noted(paths: list[str], starts: list[int], ends: list[int], **options: object) -> list[bytes]:
        asked.extend(zip(starts, ends, strict=True))
        found: list[bytes] = cat_ranges(paths, starts, ends, **options)
        return found

    monkeypatch.setattr(storage._files, "cat_ranges", noted)
    assert storage.read_ranges("a", [(4, 4), (1, 3), (0, 0)]) == [b"", b"12", b""]
    assert storage.read_ranges("a", []) == []
    assert asked == [(1, 3)]


def test_names_are_the_files_of_one_folder_in_order(storage: Storage) -> None:
    assert storage.names("a") == []
    for name in ("a/2", "a/1", "a/deep/3", "other/4"):
        storage.write(name, b"x")
    assert storage.names("a") == ["1", "2"]
    assert storage.under("a").names("deep") == ["3"]


def write_half(storage: Storage, name: str) -> None:
    with storage.replaced(name) as stream:
        stream.write(b"half")
        raise RuntimeError


def test_a_write_that_fails_leaves_what_was_there(storage: Storage) -> None:
    storage.write("kept", b"before")
    for name in ("kept", "new"):
        with pytest.raises(RuntimeError):
            write_half(storage, name)
    assert storage.read("kept") == b"before"
    assert storage.size("new") is None
    assert storage.names() == ["kept"]


def test_a_folder_is_removed_with_all_it_holds_and_twice_is_no_error(storage: Storage) -> None:
    storage.write("a/b/c", b"x")
    storage.write("a/d", b"x")
    storage.remove("a/d")
    assert storage.size("a/b/c") == 1
    storage.remove("a")
    storage.remove("a")
    assert storage.size("a/b/c") is None


def test_missing_and_short_files_are_one_line(storage: Storage) -> None:
    with pytest.raises(DataError, match="nothing: no such file"):
        storage.read("nothing")
    with pytest.raises(DataError, match="nothing: no such file"):
        storage.read_ranges("nothing", [(0, 1)])
    storage.write("short", b"12")
    with pytest.raises(DataError, match="short: ends within bytes 1 to 5; the file is truncated"):
        storage.read_ranges("short", [(1, 5)])


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (f"{tmp_path}/file", f"local://{tmp_path}/file"):
        with pytest.raises(WriteError, match="cannot be written"):
            open_storage(place).write("below/x", b"x")


def test_storage_travels_to_other_processes_by_its_place(storage: Storage) -> None:
    copy = pickle.loads(pickle.dumps(storage))
    assert (type(copy), copy.place) == (type(storage), storage.place)


def test_unknown_kinds_of_url_and_missing_packages_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"nosuch://x: .*use a path"):
        open_storage("nosuch://x")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match=r"fsspec is not installed; run: pip install 'keyboard-lm\[cluster\]'"):
        open_storage(f"memory://{uuid.uuid4().hex}")
