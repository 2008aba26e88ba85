"""Swiped words in a field: spaces, capitals, taking back, the bar, learning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from keyboard_lm.evaluation.swiper import PERFECT, Swiper
from keyboard_lm.keyboard.editor import Editor
from keyboard_lm.keyboard.events import (
    Backspaced,
    CursorMoved,
    Edit,
    FieldStarted,
    ShiftPressed,
    SlotAccepted,
    Swiped,
    Typed,
)
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.session import Session
from keyboard_lm.touch.layout import load_layout
from keyboard_lm.touch.path import PathError, PathPoint

from ...golden.swipes import events_of, sessions

SWIPER = Swiper(load_layout(), PERFECT)
GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "swipe.json").read_text(encoding="utf-8"))


def path(word: str) -> tuple[PathPoint, ...]:
    return SWIPER.swipe(word, np.random.default_rng(0))


@pytest.fixture(scope="module")
def opened() -> Iterator[Session]:
    session = Session.open()
    yield session
    session.close()


@pytest.fixture
def session(opened: Session) -> Session:
    opened.apply(FieldStarted())
    return opened


def swipe(session: Session, *words: str) -> list[Edit]:
    return [session.apply(Swiped(path(word))) for word in words]


def type_text(session: Session, text: str) -> None:
    for char in text:
        session.apply(Typed(char))


def test_swiped_words_have_capitals_spaces_and_punctuation_as_typed_ones(session: Session) -> None:
    swipe(session, "what", "are", "you", "doing")
    type_text(session, "?")
    swipe(session, "thank", "you")
    type_text(session, ", ")
    swipe(session, "bye")
    assert session.text == "What are you doing? Thank you, bye "


def test_the_context_decides_between_words_of_one_shape(session: Session) -> None:
    type_text(session, "I have to go ")
    swipe(session, "too")
    first = session.text
    session.apply(FieldStarted())
    type_text(session, "this is ")
    swipe(session, "too", "late")
    assert first == "I have to go to "
    assert session.text == "This is too late "


def test_backspace_takes_the_whole_word_back(session: Session) -> None:
    swipe(session, "thank")
    before = session.text
    swipe(session, "you")
    session.apply(Backspaced())
    assert session.text == before
    session.apply(Backspaced())
    assert session.text == before[:-1]


def test_alternatives_are_on_the_bar_and_take_the_words_place(session: Session) -> None:
    swipe(session, "going")
    bar = session.suggest()
    assert {slot.kind for slot in bar.slots} == {"swiped"}
    assert {slot.replaced for slot in bar.slots} == {session.text}
    assert session.text.strip() not in {slot.text for slot in bar.slots}
    assert session.suggest_at_once() == bar
    session.apply(SlotAccepted(bar.slots[0].text, bar.slots[0].replaced))
    assert session.text == bar.slots[0].text + " "
    assert {slot.kind for slot in session.suggest().slots} != {"swiped"}


def test_a_half_typed_word_stays_and_the_swiped_one_follows(session: Session) -> None:
    type_text(session, "and i")
    edit = session.apply(Swiped(path("have")))
    assert (edit.deleted_before, edit.inserted) == ("i", "I have ")
    assert session.text == "And I have "
    session.apply(Backspaced())
    assert session.text == "And I"
    session.apply(CursorMoved(1))
    swipe(session, "the")
    assert session.text == "A the nd I"


def test_a_swipe_on_one_key_is_a_tap(session: Session) -> None:
    session.apply(Swiped((PathPoint(4.5, 0.5, 0), PathPoint(4.6, 0.55, 40))))
    session.apply(Swiped((PathPoint(5.5, 1.5, 0),)))
    assert session.text == "Th"
    session.apply(Swiped((PathPoint(5.0, 3.5, 0),)))
    assert session.text.endswith(" ")
    assert session.apply(Swiped((PathPoint(-3.0, 9.0, 0),))) == Edit()


def test_shift_gives_capitals(session: Session) -> None:
    swipe(session, "the")
    session.apply(ShiftPressed())
    swipe(session, "house")
    session.apply(ShiftPressed(lock=True))
    swipe(session, "now")
    assert session.text == "The House NOW "


def test_what_no_finger_draws_is_one_error_and_changes_nothing(session: Session) -> None:
    swipe(session, "well")
    text, revision = session.text, session.revision
    for points in ((), (PathPoint(float("nan"), 0, 0),), (PathPoint(0, 0, 0),) * 100_000):
        with pytest.raises(PathError):
            session.apply(Swiped(points))
    scribble = tuple(PathPoint(9.5 * (i % 2), 2.5 * (i % 3), 10.0 * i) for i in range(60))
    assert session.apply(Swiped(scribble)) == Edit()
    assert (session.text, session.revision) == (text, revision)


def test_what_stays_is_learned_and_what_is_taken_back_is_not() -> None:
    with_words = Session.open()
    edits = swipe(with_words, "thank", "you")
    edits.append(with_words.apply(Backspaced()))
    edits += swipe(with_words, "god")
    edits.append(with_words.apply(FieldStarted()))
    assert [word.word.lower() for edit in edits for word in edit.finished] == ["thank", "god"]
    with_words.close()


def test_own_words_are_swiped_once_they_are_learned_and_until_they_are_forgotten() -> None:
    session, words = Session.open(), ("Wojtkowiak", "Xiangyu")
    assert not any(map(load_language().lexicon.known, words))
    for word in words:
        session.personal.learn([word], [], "accepted")
        session.apply(FieldStarted())
        swipe(session, word.lower())
        assert session.text == f"{word} "
    session.apply(FieldStarted())
    session.personal.forget("Wojtkowiak")
    swipe(session, "wojtkowiak")
    assert "Wojtkowiak" not in session.text
    session.apply(FieldStarted())
    swipe(session, "xiangyu")
    assert session.text == "Xiangyu "
    session.close()


def test_what_the_writer_writes_behind_a_word_decides_between_paths_that_are_alike() -> None:
    writer = Session.open()
    writer.apply(FieldStarted("see you "))
    swipe(writer, "too")
    usual = writer.text.split()[-1]
    other = next(slot.text for slot in writer.shown.slots if slot.text in ("to", "too"))
    for _ in range(8):
        writer.personal.learn([other], ["see", "you"], "accepted")
    writer.apply(FieldStarted("see you "))
    swipe(writer, "too")
    assert writer.text == f"see you {other} "
    assert usual in [slot.text for slot in writer.shown.slots]
    writer.close()


@pytest.mark.parametrize("case", GOLDEN["editor"], ids=lambda case: str(case["name"]))
def test_the_editor_matches_the_golden_file(case: dict[str, object]) -> None:
    editor = Editor()
    edits = []
    for step in case["events"]:  # type: ignore[attr-defined]
        edits += [editor.apply(event) for event in events_of(step)]
    assert (editor.text, editor.cursor) == (case["text"], case["cursor"])
    finished = [word.word for edit in edits for word in edit.finished]
    assert finished == case["finished"]


def test_fields_over_the_toy_network_are_those_of_the_golden_file() -> None:
    assert json.loads(json.dumps(list(sessions()))) == GOLDEN["sessions"]
