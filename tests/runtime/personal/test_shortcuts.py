"""Text shortcuts: the writer's alone, kept in the personal file, never overruled."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from keyboard_lm.cli import main
from keyboard_lm.errors import DataError
from keyboard_lm.keyboard.events import Backspaced, FieldStarted, Typed
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.personal import PersonalStore
from keyboard_lm.personal.shortcuts import read_shortcuts


def type_text(session: Session, text: str) -> None:
    for char in text:
        session.apply(Typed(char))
        session.suggest()


def test_a_shortcut_is_there_after_a_restart_in_any_case_until_it_is_removed(tmp_path: Path) -> None:
    with PersonalStore.open(tmp_path / "learned") as store:
        store.shortcuts.add([("omw", "on my way"), ("Addr", "1 High Street")])
    with PersonalStore.open(tmp_path / "learned") as store:
        assert store.shortcuts.all() == {"addr": "1 High Street", "omw": "on my way"}
        assert store.shortcuts.text("OMW") == "on my way"
        assert store.shortcuts.remove("omw")
        assert not store.shortcuts.remove("omw")
        assert store.shortcuts.text("omw") is None


@pytest.mark.parametrize(
    ("typed", "text"), [("", "x"), ("two words", "x"), ("omw", " "), ("omw", "OMW"), ("a" * 49, "x")]
)
def test_what_is_no_shortcut_is_refused_and_nothing_is_added(typed: str, text: str) -> None:
    with PersonalStore.open(None) as store:
        with pytest.raises(DataError):
            store.shortcuts.add([("brb", "be right back"), (typed, text)])
        assert store.shortcuts.all() == {}


def test_shortcuts_are_exported_imported_and_cleared(tmp_path: Path) -> None:
    with PersonalStore.open(tmp_path / "a") as store, PersonalStore.open(tmp_path / "b") as other:
        store.shortcuts.add([("omw", "on my way")])
        store.export(tmp_path / "out.jsonl")
        other.import_from(tmp_path / "out.jsonl")
        assert other.shortcuts.all() == {"omw": "on my way"}
        other.clear()
        assert other.shortcuts.all() == {}


@pytest.mark.parametrize("typed", ["omw", "teh", "the", "hello"])  # also words, and what would be corrected otherwise
def test_a_space_puts_the_text_in_and_backspace_takes_it_back_once(typed: str) -> None:
    session = Session.open(options=SessionOptions(num_threads=1))
    session.personal.shortcuts.add([(typed, "on my way")])
    for _ in range(2):
        session.apply(FieldStarted("well "))
        type_text(session, f"{typed} ")
        assert session.text == "well on my way "
        session.apply(Backspaced())
        assert session.text == f"well {typed} "
    session.apply(FieldStarted())
    type_text(session, f"{typed} ")
    assert session.text == "On my way "


def test_the_command_adds_lists_removes_and_imports(tmp_path: Path) -> None:
    file, source = tmp_path / "learned", tmp_path / "shortcuts.tsv"
    source.write_text("# mine\nbrb\tbe right back\n", encoding="utf-8")
    run = CliRunner().invoke
    assert run(main, ["shortcuts", "add", str(file), "omw", "on my way"]).exit_code == 0
    assert run(main, ["shortcuts", "import", str(file), str(source)]).exit_code == 0
    assert run(main, ["shortcuts", "list", str(file)]).output == "brb\tbe right back\nomw\ton my way\n"
    assert run(main, ["shortcuts", "remove", str(file), "omw"]).exit_code == 0
    assert run(main, ["shortcuts", "remove", str(file), "omw"]).exit_code == 1
    assert run(main, ["shortcuts", "list", str(file), "--json"]).output == '{"brb": "be right back"}\n'
    source.write_text("no tab here\n", encoding="utf-8")
    assert run(main, ["shortcuts", "import", str(file), str(source)]).exit_code == 1
    assert run(main, ["shortcuts", "add", str(tmp_path / "new"), "two words", "x"]).exit_code == 1
    assert not (tmp_path / "new").exists()


def test_a_file_of_shortcuts_is_utf_8_with_or_without_a_mark_at_its_beginning(tmp_path: Path) -> None:
    lines = "# mine\n\nomw\ton my way\ncaf\ta caf\u00e9\n"
    for start in ("", "\ufeff"):
        (tmp_path / "tsv").write_text(start + lines, encoding="utf-8")
        assert read_shortcuts(tmp_path / "tsv") == [("omw", "on my way"), ("caf", "a caf\u00e9")]
    for content, message in ((b"\xff\n", "not UTF-8"), (b"omw\ton my way\nbrb", "line 2: no tab")):
        (tmp_path / "tsv").write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_shortcuts(tmp_path / "tsv")
