"""`keyboard-lm learned`: the writer sees, deletes, takes along and brings back what was learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keyboard_lm.cli import main
from keyboard_lm.personal import PersonalStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "learned"
    with PersonalStore.open(path, knows=lambda word: True) as store:
        store.learn(["see", "you", "Siobhan", "see", "you", "see"])
        store.block("teh", "the")
    return path


def run(*arguments: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, ["learned", *map(str, arguments)], input=answer)


def test_list_shows_words_and_corrections_that_were_taken_back(file: Path) -> None:
    result = run("list", file)
    assert result.stdout.splitlines() == ["see", "you", "Siobhan", "teh is not made the"]
    assert run("list", file, "-n", 1).stdout.splitlines()[0] == "see"
    told = json.loads(run("list", file, "--json").stdout)
    assert told == {"words": ["see", "you", "Siobhan"], "taken_back": [["teh", "the"]], "shortcuts": {}}


def test_list_shows_shortcuts_too(file: Path) -> None:
    with PersonalStore.open(file) as store:
        store.shortcuts.add([("omw", "on my way")])
    assert run("list", file).stdout.splitlines()[-1] == "omw stands for on my way"
    assert json.loads(run("list", file, "--json").stdout)["shortcuts"] == {"omw": "on my way"}


def test_no_export_takes_the_place_of_what_was_learned(file: Path, tmp_path: Path) -> None:
    learned, other = run("list", file).stdout, tmp_path / "other"
    assert run("import", other, _exported(file, tmp_path / "all.jsonl")).exit_code == 0
    (tmp_path / "link").symlink_to(file)
    for target in (file, other, tmp_path / "link", tmp_path / "learned-wal", tmp_path / "other-shm"):
        result = run("export", file, target)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "holds what a keyboard has learned" in result.stderr
    assert run("list", file).stdout == run("list", other).stdout == learned
    assert _exported(file, tmp_path / "all.jsonl").read_text().count("\n") > 3  # an older export is replaced


def _exported(file: Path, target: Path) -> Path:
    assert run("export", file, target).exit_code == 0
    return target


def test_forget_deletes_every_trace(file: Path) -> None:
    assert run("forget", file, "SIOBHAN", "teh").exit_code == 0
    assert run("list", file).stdout.splitlines() == ["see", "you"]
    content = b"".join(each.read_bytes() for each in file.parent.iterdir())
    assert b"iobhan" not in content
    again = run("forget", file, "siobhan", "see")
    assert again.exit_code == 1
    assert "never learned: siobhan" in again.stderr
    assert run("list", file).stdout.splitlines() == ["you"]


def test_what_is_exported_can_be_imported_into_a_new_file(file: Path, tmp_path: Path) -> None:
    target, new = tmp_path / "all.jsonl", tmp_path / "new"
    assert run("export", file, target).exit_code == 0
    assert run("import", new, target).exit_code == 0
    assert run("list", new).stdout == run("list", file).stdout


def test_clear_asks_first(file: Path) -> None:
    assert run("clear", file, answer="n\n").exit_code == 1
    assert run("list", file).stdout
    assert run("clear", file, answer="y\n").exit_code == 0
    assert run("list", file).stdout == ""
    assert run("clear", file, "--yes").exit_code == 0


@pytest.mark.parametrize("arguments", [("list",), ("forget", "x"), ("export", "y"), ("clear", "--yes")])
def test_a_file_that_is_not_there_or_something_else_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    name, *rest = arguments
    missing = run(name, tmp_path / "none", *rest)
    assert (missing.exit_code, missing.stderr.count("\n")) == (1, 1)
    assert "no such file" in missing.stderr
    assert not (tmp_path / "none").exists()
    (tmp_path / "text").write_text("hello, this is a letter to somebody")
    other = run(name, tmp_path / "text", *rest)
    assert "not a file of learned words" in other.stderr
    assert (tmp_path / "text").read_text().startswith("hello")


def test_an_import_of_something_else_adds_nothing(file: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    assert run("import", tmp_path / "new", tmp_path / "text").exit_code == 1
    assert not (tmp_path / "new").exists()
    result = run("import", file, tmp_path / "text")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert run("list", file).stdout.splitlines()[0] == "see"
