"""The personal file: private, and safe from kills, damage and other processes."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from keyboard_lm.personal import PersonalStore, PersonalStoreError
from keyboard_lm.personal import file as personal_file

WRITER = """
import sys
from pathlib import Path
from keyboard_lm.personal import PersonalStore
store = PersonalStore.open(Path(sys.argv[1]), knows=lambda word: True)
before = []
for number in range(int(sys.argv[3])):
    word = sys.argv[2] + chr(97 + number // 26 % 26) + chr(97 + number % 26)
    store.learn([word], before[-2:])
    before.append(word)
    print(word, flush=True)
assert store.warnings == (), store.warnings
"""


def start_writer(path: Path, prefix: str, num_words: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(path), prefix, str(num_words)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def open_store(path: Path) -> PersonalStore:
    return PersonalStore.open(path, knows=lambda word: True)


def texts(store: PersonalStore, context: Sequence[str], limit: int = 3) -> list[str]:
    view = store.view(context)
    return [] if view is None else view.candidates("", limit)


def weight(store: PersonalStore, context: Sequence[str]) -> float:
    view = store.view(context)
    return 0.0 if view is None else view.weight


def content(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir() if file.name.startswith(path.name))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyboard" / "personal.db"


def test_only_the_owner_can_read_it(path: Path) -> None:
    old = os.umask(0)
    try:
        with open_store(path) as store:
            store.learn(["see", "you"])
            files = sorted(path.parent.iterdir())
            assert [file.name for file in files] == ["personal.db", "personal.db-shm", "personal.db-wal"]
            assert {mode(file) for file in files} == {0o600}
            store.export(path.parent / "all.jsonl")
    finally:
        os.umask(old)
    assert mode(path.parent) == 0o700
    assert mode(path.parent / "all.jsonl") == 0o600
    path.chmod(0o644)
    open_store(path).close()
    assert mode(path) == 0o600


def test_what_was_learned_is_there_the_next_time(path: Path) -> None:
    with open_store(path) as store:
        store.learn(["see", "you", "Soon"])
        store.block("teh", "the")
        before = texts(store, ["see", "you"]), weight(store, ["see", "you"])
    with open_store(path) as store:
        assert (texts(store, ["see", "you"]), weight(store, ["see", "you"])) == before
        assert store.is_blocked("teh", "the")


def test_a_killed_process_loses_at_most_the_last_word(path: Path) -> None:
    with start_writer(path, "w", 10_000) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read().split("\n")[:-1]
    assert process.returncode == -signal.SIGKILL
    with open_store(path) as store:
        assert [word for word in told if not store.is_known(word)] == []
        assert texts(store, told[36:38])[0] == told[38]
        store.learn(["on"])
        assert store.warnings == ()


def test_two_processes_share_one_file(path: Path) -> None:
    writers = [start_writer(path, prefix, 150) for prefix in ("a", "b", "c")]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with open_store(path) as store:
        store.export(path.parent / "all.jsonl")
    rows = [json.loads(line) for line in (path.parent / "all.jsonl").read_text().splitlines()[1:]]
    assert sum("form" in row for row in rows) == 450
    [(num_events,)] = sqlite3.connect(path).execute("SELECT num_events FROM state")
    assert num_events == 450


def test_what_one_process_changes_the_other_sees_at_once(path: Path) -> None:
    with open_store(path) as one, open_store(path) as two:
        assert texts(two, []) == []
        one.learn(["see", "you"])
        assert texts(two, ["see"]) == ["you", "see"]
        two.learn(["me"], ["see"])
        assert one.is_known("me")
        one.forget("you")
        assert texts(two, ["see"]) == ["me", "see"]
        two.clear()
        assert weight(one, ["see"]) == 0
        one.block("teh", "the")
        assert two.is_blocked("teh", "the")
        assert one.warnings == two.warnings == ()


def test_a_file_that_is_locked_too_long_costs_a_word_and_a_warning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_file, "BUSY_TIMEOUT_S", 0.05)
    with open_store(path) as store:
        store.learn(["see"])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store.learn(["you"])
        with pytest.raises(PersonalStoreError, match="locked"):
            store.forget("see")
        other.execute("ROLLBACK")
        assert not store.is_known("you")
        assert len(store.warnings) == 1
        assert "not learned" in store.warnings[0]
        store.learn(["you"])
        assert store.is_known("you")


@pytest.mark.parametrize("how", ["forget", "clear"])
def test_what_is_deleted_is_in_no_file(path: Path, how: str) -> None:
    with open_store(path) as store:
        for number in range(300):
            store.learn(["Xylophone", f"word{number}x", "xylophone"], ["see"])
        store.learn(["qqxylo"], source="typed")
        store.block("xylophone", "saxophone")
        assert b"ylophone" in content(path)
        if how == "forget":
            store.forget("xylophone")
            assert store.is_known("word7x")
        else:
            path.with_name("personal.db.corrupt-1").write_bytes(b"xylophone")
            store.clear()
            assert b"word7x" not in content(path)
        assert b"ylophone" not in content(path)
    assert b"ylophone" not in content(path)


def test_a_file_of_noise_is_set_aside(path: Path) -> None:
    for number in (1, 2):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"noise" * 1000)
        with open_store(path) as store:
            assert len(store.warnings) == 1
            assert f"personal.db.corrupt-{number}" in store.warnings[0]
            store.learn(["see"])
            assert store.is_known("see")
        path.unlink()
        assert path.with_name(f"personal.db.corrupt-{number}").read_bytes() == b"noise" * 1000


@pytest.mark.parametrize("seed", range(60))
def test_no_damage_is_a_crash(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    with open_store(path) as store:
        for number in range(60):
            store.learn(["see", f"word{number}x", "you"])
        store.block("teh", "the")
    data = bytearray(path.read_bytes())
    kind = seed % 4
    if kind == 0:
        data = data[: rng.randrange(1, len(data))]
    elif kind == 1:
        data[rng.randrange(100)] ^= rng.randrange(1, 256)  # the header
    else:
        for _ in range(rng.choice([1, 20, 400])):
            data[rng.randrange(100, len(data))] = rng.randrange(256)
    path.write_bytes(data)
    try:
        store = open_store(path)
    except PersonalStoreError as error:  # what looks like somebody else's file, or tomorrow's, is left alone
        message = str(error)
    else:
        message = ""
    if message:
        assert "something else" in message or "newer" in message
        assert path.read_bytes() == data
        return
    with store:
        for context in ([], ["see"], ["see", "word7x"]):
            view = store.view(context)
            if view is not None:  # found before the damage was met, perhaps
                assert sum(view.mix(0.0, word) for word in view.candidates("", 100)) <= view.weight + 1e-9
                assert 0 <= view.weight < 1
        store.learn(["on", "the"], source="accepted")
        assert store.is_known("the")
        store.export(path.parent / "all.jsonl")
        store.forget("see")
        assert not store.is_known("see")
        store.clear()
        assert not store.is_known("the")


def test_a_file_that_another_process_set_aside_is_left_for_the_new_one(path: Path) -> None:
    with open_store(path) as one, open_store(path) as two:
        one.learn(["see"])
        assert two.is_known("see")
        one._file._set_aside("a test")
        one.learn(["you"])
        two.learn(["me"], ["you"])
        assert one.is_known("me")
        assert not one.is_known("see")
        two._file.close()
        one.learn(["too"], ["me"])
    with open_store(path) as store:
        assert all(map(store.is_known, ["you", "me", "too"]))
    assert len(list(path.parent.glob("*.corrupt-*[0-9]"))) == 1


def test_a_file_that_somebody_removes_is_made_again(path: Path) -> None:
    with open_store(path) as store:
        store.learn(["see"])
        for file in path.parent.iterdir():
            file.unlink()
        store.learn(["you"])
        assert store.is_known("you")
        assert not store.is_known("see")
    assert mode(path) == 0o600


def test_other_files_are_left_alone(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bookmark (url TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(PersonalStoreError, match="something else"):
        open_store(path)
    assert path.read_bytes() == before
    with pytest.raises(PersonalStoreError, match="cannot be opened"):
        open_store(path.parent)


def test_a_closed_store_opens_its_file_again(path: Path) -> None:
    store = open_store(path)
    store.learn(["see"])
    store.close()
    store.close()
    assert store.is_known("see")
    store.close()


def test_folders_that_are_missing_are_made_and_are_the_owners_alone(tmp_path: Path) -> None:
    with open_store(tmp_path / "a" / "b" / "personal.db") as store:
        store.learn(["see"])
    assert mode(tmp_path / "a" / "b") == 0o700
    with open_store(tmp_path / "a" / "b" / "personal.db") as store:
        assert store.is_known("see")


def test_no_export_takes_the_place_of_a_personal_file(path: Path) -> None:
    with open_store(path) as store:
        store.learn(["see"])
        other = path.with_name("other.db")
        with open_store(other) as another:
            another.learn(["you"])
            for target in (path, other, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                with pytest.raises(PersonalStoreError, match="holds what a keyboard has learned"):
                    store.export(target)
            assert another.is_known("you")
        assert store.is_known("see")
        for content in (b"", b"SQLite", b"an older export"):
            (target := path.with_name("all.jsonl")).write_bytes(content)
            store.export(target)
            assert b"keyboard-lm personal store" in target.read_bytes()
