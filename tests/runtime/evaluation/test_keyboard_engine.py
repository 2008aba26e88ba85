"""Tests for keyboard_lm.evaluation.keyboard_engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyboard_lm.backends import load_backend
from keyboard_lm.evaluation.engine import word_under_cursor
from keyboard_lm.evaluation.keyboard_engine import KeyboardEngine
from keyboard_lm.evaluation.model_subject import FULL, ModelSubject
from keyboard_lm.keyboard.events import FieldStarted, ShiftPressed, TextChanged, Typed
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.personal import PersonalStore

_TEXTS = [
    "",
    "I",
    "I wnat",
    "what is teh",
    "Hello wrold",
    "see you tomorow",
    "go t he",
    "inthe",
    "ok. ",
    "a@b",
    "I am ",
]


@pytest.fixture(scope="module")
def engine(tiny_checkpoint: Path) -> KeyboardEngine:
    checkpoint = Checkpoint.load(tiny_checkpoint)
    return KeyboardEngine(load_backend("onnx", checkpoint, num_threads=1, bits=4), checkpoint.tokenizer)


@pytest.mark.parametrize("text", _TEXTS)
def test_what_is_measured_is_what_a_session_shows(tiny_checkpoint: Path, engine: KeyboardEngine, text: str) -> None:
    session = Session.open(tiny_checkpoint, SessionOptions(num_threads=1))
    session.apply(FieldStarted(is_private=True))
    word = word_under_cursor(text)
    before = text[: len(text) - len(word)]
    session.apply(TextChanged(before, len(before)))
    for char in word:
        if char.islower() and session.shift != "off":
            session.apply(ShiftPressed())
        session.apply(Typed(char))
    answer = session.suggest()
    engine.start_field()
    bar = engine.bar(text, 3)
    assert bar.slots == tuple(slot.text for slot in answer.slots if slot.replaced == word)
    assert bar.correction == answer.correction
    session.apply(Typed(" "))
    assert engine.finished(text) + " " == session.text


@pytest.mark.parametrize("text", _TEXTS)
def test_the_field_holds_what_was_asked_about_letter_by_letter_too(engine: KeyboardEngine, text: str) -> None:
    engine.start_field()
    for length in range(len(text) + 1):
        engine.bar(text[:length], 3)
        assert engine._session.text == text[:length]


def test_a_backspace_takes_a_correction_back(engine: KeyboardEngine) -> None:
    engine.start_field()
    engine.bar("so i", 3)
    assert engine.finished("so i") == "so I"
    assert engine.undone() == "so i"
    engine.start_field()
    assert engine.finished("so i") == "so I"  # but in another field


def test_nothing_is_learned_unless_asked(tiny_checkpoint: Path) -> None:
    checkpoint = Checkpoint.load(tiny_checkpoint)
    for learns in (False, True):
        store = PersonalStore.open(None, knows=lambda word: True)
        backend = load_backend("onnx", checkpoint, num_threads=1, bits=4)
        engine = KeyboardEngine(backend, checkpoint.tokenizer, personal=store, learns=learns)
        engine.start_field()
        for text in ("zebra", "zebra is", "zebra is here"):
            engine.finished(text)
        assert bool(store.num_words()) == learns


@pytest.mark.parametrize("text", _TEXTS)
def test_a_correction_replaces_the_end_of_the_text_and_is_shown(engine: KeyboardEngine, text: str) -> None:
    engine.start_field()
    bar = engine.bar(text, 3)
    corrected = engine.finished(text)
    if bar.correction is None:
        assert corrected in (text, text[:-1] + "I", text.rstrip(" ") + ".", text.rstrip(" "))
    else:
        assert corrected == text[: len(text) - len(bar.correction.replaced)] + bar.correction.text
        assert " " in bar.correction.replaced or bar.correction.text in bar.slots


@pytest.mark.parametrize("text", _TEXTS)
def test_an_answer_does_not_depend_on_the_field_before(engine: KeyboardEngine, text: str) -> None:
    engine.start_field()
    first = engine.bar(text, 5)
    engine.bar("something else entirley", 5)
    engine.start_field()
    assert engine.bar(text, 5) == first


def test_between_words_there_is_nothing_to_correct(engine: KeyboardEngine) -> None:
    assert engine.bar("what is teh ", 3).correction is None


def test_a_subject_says_which_keyboard_it_is(tiny_checkpoint: Path) -> None:
    alone, full = ModelSubject(tiny_checkpoint, "onnx"), ModelSubject(tiny_checkpoint, "onnx", keyboard=FULL)
    assert isinstance(full.engine(), KeyboardEngine)
    assert full.describe() == f"{alone.describe()}, full"
