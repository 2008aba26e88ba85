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
    assert told == {"words": ["see", "you", "Siobhan"], "taken_back": [["teh", "the"]]}


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
    result = run("import", file, tmp_path / "text")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert run("list", file).stdout.splitlines()[0] == "see"
