"""Tests for keyboard_lm.evaluation.keyboard_engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyboard_lm.backends import load_backend
from keyboard_lm.evaluation.engine import after_space
from keyboard_lm.evaluation.keyboard_engine import KeyboardEngine
from keyboard_lm.evaluation.model_subject import FULL, ModelSubject
from keyboard_lm.network.checkpoint import Checkpoint

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
def test_the_first_slots_of_a_long_bar_are_the_short_bar(engine: KeyboardEngine, text: str) -> None:
    engine.start_field()
    long, short = engine.bar(text, 5), engine.bar(text, 3)
    assert short.slots == long.slots[:3]
    assert short.correction == long.correction
    assert len(set(long.slots)) == len(long.slots)


@pytest.mark.parametrize("text", _TEXTS)
def test_a_correction_replaces_the_end_of_the_text_and_is_shown(engine: KeyboardEngine, text: str) -> None:
    engine.start_field()
    bar = engine.bar(text, 3)
    corrected = after_space(text, bar)
    if bar.correction is None:
        assert corrected == text
    elif " " not in bar.correction.replaced:
        assert bar.correction.text in bar.slots


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
