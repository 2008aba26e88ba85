"""An older personal file is brought up to date, never set aside; a newer one is refused as it is."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from sqlite3 import Connection

import pytest

from keyboard_lm.personal import PersonalStore, PersonalStoreError, migrations
from keyboard_lm.personal.file import APPLICATION_ID

GOLDEN = Path(__file__).parents[2] / "golden"


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def old_file(path: Path, version: int) -> Path:
    """Write a file as the program of a version left it."""
    connection = sqlite3.connect(path)
    connection.executescript((GOLDEN / f"personal-{version}.sql").read_text(encoding="utf-8"))
    connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};")
    connection.close()
    return path


def tables(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    try:
        return {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    finally:
        connection.close()


def set_aside(path: Path) -> list[str]:
    return [file.name for file in path.parent.iterdir() if "corrupt" in file.name]


@pytest.mark.parametrize("version", range(1, migrations.newest_version() + 1))
def test_a_file_of_every_version_keeps_what_it_knows(tmp_path: Path, version: int) -> None:
    path = old_file(tmp_path / "learned", version)
    with PersonalStore.open(path) as store:
        assert store.words() == ["you", "see", "Siobhan", "soon"]
        assert store.blocks() == [("may", "May"), ("teh", "the")]
        view = store.view(["see"])
        assert view is not None
        assert view.candidates("", 2) == ["you", "Siobhan"]
        assert view.weight == pytest.approx(0.248929, abs=1e-6)
        store.learn(["xylo"])  # seen once by the version before
        assert store.is_known("xylo")
        assert store.warnings == ()
    PersonalStore.open(tmp_path / "new").close()
    assert tables(path) == tables(tmp_path / "new")
    assert version_of(path) == migrations.newest_version()
    assert not set_aside(path)


def test_there_is_a_file_of_every_version_among_the_tests() -> None:
    found = sorted(int(file.stem.split("-")[1]) for file in GOLDEN.glob("personal-*.sql"))
    assert found == list(range(1, migrations.newest_version() + 1))


def add_column(connection: Connection) -> None:
    connection.execute("ALTER TABLE pending ADD COLUMN source TEXT DEFAULT 'typed'")


def test_the_steps_that_a_file_lacks_are_taken_once_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = old_file(tmp_path / "learned", 1)
    taken = []

    def step(number: int) -> migrations.Step:
        return lambda connection: taken.append(number)

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS[:1], step(2), step(3)))
    for _ in range(2):
        with PersonalStore.open(path) as store:
            assert store.is_known("Siobhan")
            assert store.warnings == ()
    assert taken == [2, 3]
    assert version_of(path) == 3
    PersonalStore.open(tmp_path / "new").close()
    assert taken == [2, 3, 2, 3]


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = old_file(tmp_path / "learned", 1)

    def fail(connection: Connection) -> None:
        add_column(connection)
        raise RuntimeError("a mistake in a step")

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", (*migrations.STEPS[:1], fail))
        with pytest.raises(RuntimeError):
            PersonalStore.open(path)
    assert version_of(path) == 1
    assert not set_aside(path)
    with PersonalStore.open(path) as store:
        assert store.is_known("Siobhan")


KILLED = """
import os, signal, sys
from pathlib import Path
from keyboard_lm.personal import PersonalStore, migrations
def step(connection):
    connection.execute("DELETE FROM ngram")
    os.kill(os.getpid(), signal.SIGKILL)
migrations.STEPS = (*migrations.STEPS, step)
PersonalStore.open(Path(sys.argv[1]))
"""


def test_a_process_that_is_killed_on_the_way_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = old_file(tmp_path / "learned", migrations.newest_version())
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with PersonalStore.open(path) as store:
        assert store.is_known("Siobhan")
        assert store.warnings == ()
    assert version_of(path) == migrations.newest_version()


def test_a_newer_file_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = old_file(tmp_path / "learned", migrations.newest_version())
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {migrations.newest_version() + 1}")
    newer.close()
    before = path.read_bytes()
    with pytest.raises(PersonalStoreError, match=r"format \d is newer than this program.*update the program"):
        PersonalStore.open(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["learned"]
