"""`keyboard-lm-swift` as a user meets it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from keyboard_lm.network.checkpoint import bundled_folder
from keyboard_lm.personal import PersonalStore

from .conftest import ROOT


@pytest.mark.usefixtures("ask")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["suggest", "hi", "--frob", "1"], "error: no option --frob; see keyboard-lm-swift --help"),
        (["suggest", "hi", "--model"], "error: --model needs a value"),
        (["suggest", "hi", "-n", "0"], "error: n is a number from 1 to 64"),
        (["frob"], "error: no command frob; see keyboard-lm-swift --help"),
    ],
)
def test_what_is_not_understood_is_one_line_and_2(arguments: list[str], says: str) -> None:
    command = [str(ROOT / "ios_demo" / "tools" / "swift.sh"), "exec", *arguments]
    if "--model" not in arguments:
        command += ["--model", str(bundled_folder()), "--words", str(ROOT / "ios_demo" / "Model")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, says)


def _ran(*arguments: str, given: str = "", **files: Path | str) -> subprocess.CompletedProcess[str]:
    """Run the command with the bundled files, but for those that are named."""
    places: dict[str, Path | str] = {"model": bundled_folder(), "words": ROOT / "ios_demo" / "Model", **files}
    command = [str(ROOT / "ios_demo" / "tools" / "swift.sh"), "exec", *arguments]
    for name, place in places.items():
        command += [f"--{name}", str(place)]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


def _says(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode != 0
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


@pytest.mark.usefixtures("ask")
def test_a_file_of_emoji_that_is_missing_is_said(tmp_path: Path) -> None:
    _says(_ran("suggest", "hi", emoji=tmp_path / "none.tsv"), "none.tsv", "emoji")


@pytest.mark.usefixtures("ask")
@pytest.mark.parametrize("command", ["replay", "bench", "answer"])
@pytest.mark.parametrize("line", ["garbage", "[1, 2]", "", '{"steps": ', "[" * 100_000])
def test_what_is_no_object_is_one_line_that_says_which(command: str, line: str) -> None:
    _says(_ran(command, given=line + "\n"), "line 1 of the input is no JSON object; a line is ")


@pytest.mark.usefixtures("ask")
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({}, "a session has steps, a list"),
        ({"steps": ["frob"]}, "no step frob"),
        ({"steps": [["Frobbed", {}]]}, "no event Frobbed"),
        ({"steps": [1]}, "a step is a name and its arguments"),
        ({"steps": [["Typed", {"char": "a", "tap": [1]}]]}, "a tap is [x, y]"),
        ({"steps": [["Swiped", {"path": [[1, 2]]}]]}, "a path is a list of [x, y, milliseconds]"),
        ({"steps": [], "device": "none"}, "no device 'none'"),
    ],
)
def test_a_session_that_makes_no_sense_is_one_line(line: object, says: str) -> None:
    _says(_ran("replay", given=json.dumps({"steps": [], "toy": True}) + "\n" + json.dumps(line) + "\n"), "line 2", says)


@pytest.mark.usefixtures("ask")
def test_a_check_of_folders_that_are_missing_reports_and_fails(tmp_path: Path) -> None:
    done = _ran("check", model=tmp_path / "none")
    _says(done, "none: no model")
    report = json.loads(done.stdout)
    assert report["problems"]
    assert report["files"]["model.safetensors"] == -1


@pytest.mark.usefixtures("ask")
@pytest.mark.parametrize("command", ["suggest", "replay", "bench", "picture"])
def test_an_empty_folder_is_one_line(command: str, tmp_path: Path) -> None:
    given = json.dumps({"steps": ["look"], "text": "hi"}) + "\n"
    _says(_ran(command, given=given, model=tmp_path), str(tmp_path))
    _says(_ran(command, given=given, words=tmp_path), "pack.json", "export the model again")


@pytest.mark.usefixtures("ask")
def test_parts_of_two_models_are_told_apart(tmp_path: Path) -> None:
    for name in ("checkpoint.json", "config.json", "proper_nouns.txt", "model.safetensors"):
        os.symlink(bundled_folder() / name, tmp_path / name)
    content = bytearray((bundled_folder() / "tokenizer.model").read_bytes())
    content[content.index("going\u2581\x15".encode()) + 9] ^= 1  # of a piece's score: a tokenizer as good as the other
    (tmp_path / "tokenizer.model").write_bytes(content)
    _says(_ran("suggest", "hi", model=tmp_path), "tokenizer.model", "of another model")
    shutil.copy(ROOT / "LICENSE", tmp_path / "tokenizer.model")
    _says(_ran("suggest", "hi", model=tmp_path), "the tokenizer is not a SentencePiece model")


@pytest.mark.usefixtures("ask")
def test_a_personal_file_that_cannot_be_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    _says(_ran("suggest", "hi", "--learned", str(tmp_path / "file" / "learned.db")), "learned.db")
    _says(_ran("suggest", "hi", "--learned", str(tmp_path)), str(tmp_path))
    (tmp_path / "text.db").write_text("words of mine\n" * 100)
    done = _ran("suggest", "hi", "--learned", str(tmp_path / "text.db"))
    if done.returncode == 0:
        assert "set aside" in done.stderr
    else:
        _says(done, "text.db")
    assert any(path.read_text(encoding="utf-8").startswith("words of mine") for path in tmp_path.glob("text.db*"))


@pytest.mark.usefixtures("ask")
def test_what_python_learned_is_listed_forgotten_and_exported(tmp_path: Path) -> None:
    path = tmp_path / "learned.db"

    def learned(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "ios_demo" / "tools" / "swift.sh"), "exec", "learned", *arguments, "--learned", str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    _says(learned("list"), "no such file")
    with PersonalStore.open(path, knows=lambda _: True) as store:
        store.learn(["meet", "zorvath", "today"])
    assert set(learned("list").stdout.split()) == {"meet", "zorvath", "today"}
    assert learned("forget", "zorvath").returncode == 0
    _says(learned("forget", "zorvath"), "not learned")
    (tmp_path / "archive.jsonl").write_text(learned("export").stdout, encoding="utf-8")
    assert learned("clear").returncode == 0
    assert learned("list").stdout == ""
    assert learned("import", str(tmp_path / "archive.jsonl")).returncode == 0
    assert set(learned("list").stdout.split()) == {"meet", "today"}
    _says(learned("import", str(path)), str(path))
    assert learned("frob").returncode == 2
