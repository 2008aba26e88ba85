"""Reading what people really typed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyboard_lm.errors import DataError
from keyboard_lm.evaluation.alignment import align, distance
from keyboard_lm.evaluation.replay import ReplayedUnit, read_replay
from keyboard_lm.text.form import normalise

B = "BKSP"


def keystrokes(prompt: str, keys: Sequence[str], typed: str | None = None, user: str = "1") -> str:
    """Return a line of a keystroke log; `typed` is what stands in the end, worked out unless given."""
    if typed is None:
        field: list[str] = []
        for key in keys:
            field = field[:-1] if key == B else [*field, key] if len(key) == 1 else field
        typed = "".join(field)
    return json.dumps({"user": user, "prompt": prompt, "typed": typed, "keys": list(keys), "down": [], "hold": []})


def replay(tmp_path: Path, *lines: str) -> list[tuple[ReplayedUnit, ...]]:
    path = tmp_path / "recording"
    path.write_text("\n".join(lines), encoding="utf-8")
    return read_replay(path)


def pairs_of(units: Sequence[ReplayedUnit]) -> list[tuple[str, str]]:
    return [(unit.intended, unit.typed) for unit in units]


def test_what_was_typed_rightly_is_the_words_of_the_prompt(tmp_path: Path) -> None:
    ((one, two, three),) = replay(tmp_path, keystrokes("Oh, it's here.", ["SHIFT", *"Oh, it's here."]))
    assert one == ReplayedUnit("", "Oh", "Oh")
    assert two == ReplayedUnit("Oh, ", "it's", "it's")
    assert three == ReplayedUnit("Oh, it's ", "here", "here")


@pytest.mark.parametrize(
    ("typed", "units"),
    [
        ("the cta sat", [("the", "the"), ("cat", "cta"), ("sat", "sat")]),
        ("thecat sat", [("the cat", "thecat"), ("sat", "sat")]),
        ("the  cat sat", [("the cat", "the  cat"), ("sat", "sat")]),
        ("t he cat sat", [("the", "t he"), ("cat", "cat"), ("sat", "sat")]),
        ("the cat saat", [("the", "the"), ("cat", "cat"), ("sat", "saat")]),
        ("THE CAT SAT", [("the", "the"), ("cat", "cat"), ("sat", "sat")]),  # the prompt's case
        ("the dog sat", [("the", "the"), ("sat", "sat")]),  # another word
        ("the, cat sat", [("cat", "cat"), ("sat", "sat")]),  # a mistake in the punctuation
        ("the sat", [("the", "the")]),  # a word left out
    ],
)
def test_words_are_aligned_with_the_prompt(tmp_path: Path, typed: str, units: list[tuple[str, str]]) -> None:
    (found,) = replay(tmp_path, keystrokes("the cat sat", [*typed]))
    assert [unit for unit in pairs_of(found) if unit in units] == units
    assert len(found) <= len(units) + 1
    assert all(unit.context == "the cat sat"[: "the cat sat".index(unit.intended)] for unit in found)


def test_a_word_counts_as_it_was_when_it_was_first_left(tmp_path: Path) -> None:
    keys = [*"teh ", B, B, B, *"he cat", B, *"r", B, *"t sat"]
    (units,) = replay(tmp_path, keystrokes("the cat sat", keys))
    assert pairs_of(units) == [("the", "teh"), ("cat", "cat"), ("sat", "sat")]


def test_keys_that_do_not_make_up_the_text_are_left_out(tmp_path: Path) -> None:
    good = keystrokes("a b", [*"a b"])
    odd = keystrokes("a b", ["", " ", ""], "a b", user="2")
    moved = keystrokes("a b", [*"b", "ARW_LEFT", *"a "], "a b", user="3")
    other = keystrokes("a b", [*"a c"], "a b", user="4")
    assert len(replay(tmp_path, good, odd, moved, other)) == 1


def test_a_document_is_what_one_person_typed(tmp_path: Path) -> None:
    lines = [keystrokes(prompt, [*prompt], user=user) for prompt, user in (("a b", "1"), ("c", "2"), ("d", "1"))]
    assert [pairs_of(units) for units in replay(tmp_path, *lines)] == [
        [("a", "a"), ("b", "b"), ("d", "d")],
        [("c", "c")],
    ]


def taps(prompt: str, typed: str, session: str = "s", is_mouse: bool = False) -> str:
    """Return a recording of taps on a keyboard of one letter row and a space bar."""
    keys = [{"code": 97 + i, "x": 10 * i, "y": 0, "width": 10, "height": 20} for i in range(26)]
    keys.append({"code": 32, "x": 0, "y": 20, "width": 100, "height": 20})
    places = {key["code"]: (key["x"] + 5, 60 + key["y"] + 10) for key in keys}
    events: list[dict[str, object]] = []
    for char in typed:
        x, y = places.get(ord(char), (0, 0))
        events.append({"type": "mousedown", "x": x, "y": y, "code": str(ord(char)), "upper": False})
        if is_mouse:
            events.append({"type": "mouseup", "x": x, "y": y, "code": str(ord(char)), "upper": False})
            events.append({"type": "mousemove", "x": x, "y": y, "code": None, "upper": False})
    return json.dumps(
        {"session": session, "prompt": prompt, "screen": {"width": 260, "height": 100}, "keys": keys, "events": events}
    )


def test_recorded_taps_come_with_their_places(tmp_path: Path) -> None:
    ((first, second),) = replay(tmp_path, taps("An ox", "an pox"))
    assert pairs_of([first, second]) == [("An", "An"), ("ox", "pox")]
    assert [(tap.x, tap.y) for tap in second.taps if tap] == [(15.5, 0.5), (14.5, 0.5), (23.5, 0.5)]
    assert second.context == "An "


def test_taps_with_deletions_keep_their_places(tmp_path: Path) -> None:
    ((first, second),) = replay(tmp_path, taps("an ox", "an x\box"))
    assert pairs_of([first, second]) == [("an", "an"), ("ox", "ox")]
    assert [tap.x for tap in second.taps if tap] == [14.5, 23.5]


def test_mice_and_repetitions_are_left_out(tmp_path: Path) -> None:
    once = taps("an ox", "an ox")
    assert len(replay(tmp_path, once, once)[0]) == 2
    with pytest.raises(DataError, match="none of its recordings can be used"):
        replay(tmp_path, taps("an ox", "an ox", is_mouse=True))


def test_misspellings_of_one_word_are_a_document(tmp_path: Path) -> None:
    documents = replay(tmp_path, "recieve\treceive", "receve\treceive", "dont\tdon’t")
    assert [pairs_of(units) for units in documents] == [
        [("receive", "recieve"), ("receive", "receve")],
        [("don't", "dont")],
    ]
    assert documents[0][0] == ReplayedUnit("", "receive", "recieve")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no text in this file"),
        (b"\n \n", "no text in this file"),
        (b"caf\xe9\tcafe", "not UTF-8 at byte 4"),
        (b"just some text\n", "line 1 is neither"),
        (b"teh\tthe\nteh\tthe\textra\n", "line 2 is neither"),
        (b"teh\t\n", "line 1 is neither"),
        (b'{"text": "hello"}\n', "line 1 is no recording.*no 'user'"),
        (b"{not json\n", "line 1 is no recording"),
        (b'{"user": "1", "prompt": "a", "typed": "a", "keys": [1]}\n', "must be text"),
        (
            b'{"events": [], "keys": [], "prompt": "a", "session": "s", "screen": {"height": 1}}',
            "no rows of letter keys",
        ),
    ],
)
def test_any_other_file_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_replay(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError, match="cannot be read"):
            read_replay(path)


@example(" ,a,", [",", "a", ","])  # a prompt is normalised
@given(st.text("ab ,", min_size=1, max_size=12), st.lists(st.sampled_from([*"ab ,", B]), max_size=20))
def test_no_sequence_of_keys_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, keys: list[str]
) -> None:
    always = keystrokes("x", ["x"], user="0")
    for units in replay(tmp_path_factory.mktemp("replay"), always, keystrokes(prompt, keys))[1:]:
        for unit in units:
            assert unit.typed
            assert unit.intended in normalise(prompt)
            assert normalise(prompt).startswith(unit.context)


@given(st.text("ab c", max_size=7), st.text("ab c", max_size=7))
def test_an_alignment_visits_both_texts_in_order(typed: str, meant: str) -> None:
    pairs = align(typed, meant)
    assert [i for i, _ in pairs if i is not None] == [*range(len(typed))]
    assert [j for _, j in pairs if j is not None] == [*range(len(meant))]
    edits = sum(i is None or j is None or typed[i] != meant[j] for i, j in pairs)
    assert edits >= distance(typed, meant)
    assert (edits == 0) == (typed == meant)


def test_a_swap_is_one_difference_and_words_end_at_blanks() -> None:
    assert distance("teh", "the") == 1
    assert distance("the", "the") == 0
    assert distance("", "the") == 3
    assert align("ab", "a b") == [(0, 0), (None, 1), (1, 2)]
    assert sorted(align("a,b", "a b"), key=str) == [(0, 0), (1, None), (2, 2), (None, 1)]
    assert (1, 1) not in align("axb", "a b")
    assert align("an ", "and it", is_complete=False) == [(0, 0), (1, 1), (None, 2), (2, 3)]
