"""Whole writes: whatever fails and whenever, what stood there still does, and nothing else is left behind."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from keyboard_lm.errors import WriteError
from keyboard_lm.files import replaced_file, replaced_folder, take_lock, write_file_whole, write_text_whole

CALLS = [(os, "open"), (os, "close"), (os, "fsync"), (os, "replace"), (os, "rename"), (os, "chmod"), (os, "mkdir"),
         (tempfile, "mkstemp"), (tempfile, "mkdtemp")]  # fmt: skip


class Disk:
    """Counts and records calls that change a disk, and lets one of them fail.

    Attributes:
        done: name and first argument of the calls that did not fail; of `fsync`, the file's inode instead.
    """

    def __init__(self, patch: pytest.MonkeyPatch, failing: int | None = None) -> None:
        self.done: list[tuple[str, Any]] = []
        self.num_calls = 0
        self._failing = failing
        for module, name in CALLS:
            patch.setattr(module, name, self._counted(name, getattr(module, name)))
        patch.setattr(shutil, "rmtree", self._uncounted(shutil.rmtree))

    def _uncounted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        # What cannot be deleted any more stays; that is no failed write.
        def uncounted(*arguments: Any, **options: Any) -> None:
            kept = self.num_calls, list(self.done)
            self.num_calls = -(10**6)
            call(*arguments, **options)
            self.num_calls, self.done = kept

        return uncounted

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.num_calls += 1
            if self.num_calls - 1 == self._failing:
                if name == "close":
                    call(*arguments)  # as on Linux: the descriptor is gone all the same
                raise OSError(errno.EIO, f"{name} fails")
            inode = os.fstat(arguments[0]).st_ino if name == "fsync" else None
            result = call(*arguments, **options)
            self.done.append((name, inode if inode is not None else arguments[0] if arguments else None))
            return result

        return counted


def write_old(path: Path) -> None:
    path.write_bytes(b"old")


def write_old_folder(folder: Path) -> None:
    folder.mkdir()
    (folder / "weights").write_bytes(b"old")


def write_folder(folder: Path) -> None:
    with replaced_folder(folder) as draft:
        (draft / "weights").write_bytes(b"new content")
        (draft / "inside").mkdir()
        (draft / "inside" / "more").write_bytes(b"more")


def told(write: Callable[[Path], None], path: Path) -> str:
    try:
        write(path)
    except WriteError as error:
        return str(error)
    return ""


def content(path: Path) -> bytes | None:
    if not path.exists():
        return None
    return (path / "weights").read_bytes() if path.is_dir() else path.read_bytes()


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "file": (write_old, lambda path: write_file_whole(path, b"new content")),
    "private file": (write_old, lambda path: write_text_whole(path, "new content", private=True)),
    "folder": (write_old_folder, write_folder),
}


@pytest.mark.parametrize("stands", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_whichever_call_fails_what_stood_there_still_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, stands: bool
) -> None:
    old, write = KINDS[kind]
    failures = 0
    for failing in range(100):
        folder = tmp_path / str(failing)
        folder.mkdir()
        path = folder / "there"
        if stands:
            old(path)
        with monkeypatch.context() as patch:
            disk = Disk(patch, failing)
            message = told(write, path)
        assert [file.name for file in folder.iterdir() if file != path] == []  # no draft is left
        assert content(path) == ((b"old" if stands else None) if message else b"new content")
        assert not message or "there: cannot be written" in message
        failures += bool(message)
        if disk.num_calls <= failing:
            break
    else:
        pytest.fail("more calls than a write can need")
    assert failures >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_on_the_disk_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    old, write = KINDS[kind]
    old(path := tmp_path / "there")
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        write(path)
    written = [path, *path.rglob("*")] if path.is_dir() else [path]
    renames = [place for place, (name, _) in enumerate(disk.done) if name in ("replace", "rename")]
    flushed = {inode: place for place, (name, inode) in enumerate(disk.done) if name == "fsync"}
    for file in written:
        assert flushed[file.stat().st_ino] < renames[0]
    assert flushed[tmp_path.stat().st_ino] > renames[-1]  # and then the name itself


@contextmanager
def full_disk(num_bytes: int) -> Iterator[None]:
    """Let the kernel refuse to make any file longer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_the_kernel_cuts_short_changes_nothing(tmp_path: Path) -> None:
    write_old(path := tmp_path / "there")
    write_old_folder(folder := tmp_path / "folder")
    with full_disk(100_000):
        with pytest.raises(WriteError, match="there: cannot be written"):
            write_file_whole(path, b"x" * 200_000)
        with pytest.raises(WriteError, match="folder: cannot be written"), replaced_folder(folder) as draft:
            (draft / "weights").write_bytes(b"x" * 200_000)
    assert (content(path), content(folder)) == (b"old", b"old")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "there"]


@pytest.mark.parametrize("error", [ValueError("of the caller"), KeyboardInterrupt()])
def test_an_error_of_the_caller_passes_through_and_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    write_old(path := tmp_path / "there")

    def half(draft: Path) -> None:
        draft.write_bytes(b"half")
        raise error

    with pytest.raises(type(error)), replaced_file(path) as draft:
        half(draft)
    with pytest.raises(type(error)), replaced_folder(tmp_path / "folder") as draft:
        half(draft / "weights")
    assert [file.name for file in tmp_path.iterdir()] == ["there"]
    assert content(path) == b"old"


def test_only_a_private_file_is_kept_from_others(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_text_whole(tmp_path / "open", "x")
        write_text_whole(tmp_path / "closed", "x", private=True)
    finally:
        assert os.umask(old) == 0o027
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "closed").stat().st_mode) == 0o600


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError, match="choose another place"):
        write_file_whole(tmp_path / "file" / "below", b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(WriteError, match="choose another folder"), replaced_folder(path):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").is_file()


def test_a_folder_takes_the_place_of_another_whole(tmp_path: Path) -> None:
    write_old_folder(folder := tmp_path / "folder")
    (folder / "only in the old one").write_bytes(b"")
    write_folder(folder)
    assert sorted(file.name for file in folder.iterdir()) == ["inside", "weights"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    shutil.rmtree(folder)


def test_a_locked_file_is_another_processs_until_it_is_closed(tmp_path: Path) -> None:
    script = "import sys; from keyboard_lm.files import take_lock; sys.exit(not take_lock(open(sys.argv[1], 'w')))"
    command = [sys.executable, "-c", script, str(tmp_path / "lock")]
    with (tmp_path / "lock").open("w") as stream:
        assert take_lock(stream)
        assert subprocess.run(command, check=False).returncode == 1
    assert subprocess.run(command, check=False).returncode == 0


def test_nothing_that_one_system_lacks_is_imported_with_the_package() -> None:
    root = Path(__file__).parents[2]
    packages = [
        root / "keyboard_lm",
        root / "training" / "keyboard_lm_training",
        root / "coreml" / "keyboard_lm_coreml",
    ]
    found = [
        f"{file.relative_to(root)}: {line}"
        for package in packages
        for file in package.rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.match(r"(import|from) (fcntl|resource|msvcrt|termios|pwd|grp)\b", line)
    ]
    assert found == []
