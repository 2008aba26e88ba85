"""Several keyboards over one engine: each as if it were alone, and small."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest

from keyboard_lm.correction.candidates import CandidateMemory
from keyboard_lm.decoding.context import KnownBudget
from keyboard_lm.errors import ConfigError
from keyboard_lm.keyboard.bar import Answer
from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.keyboard.events import Backspaced, Event, FieldStarted, SlotAccepted, Typed
from keyboard_lm.keyboard.session import Session, SessionOptions

TEXTS = ("what is teh ", "see you tomorow at ", "i dont know")


def _events(text: str) -> list[Event]:
    return [*map(Typed, text), Backspaced(), SlotAccepted("well", ""), *map(Typed, "the")]


def _bar(session: Session, event: Event) -> tuple[object, Answer]:
    edit = session.apply(event)
    return edit, replace(session.suggest(), host_ms=0.0)


def _alone(engine: Engine, text: str) -> list[object]:
    session = Session.on(engine)
    return [_bar(session, event) for event in _events(text)]


@pytest.mark.parametrize("remembered_mb", [None, 64.0])
@pytest.mark.parametrize("memory", [None, CandidateMemory(beginnings=1, children=1)])
def test_keyboards_typed_on_in_turn_answer_as_each_does_alone(
    remembered_mb: float | None, memory: CandidateMemory | None
) -> None:
    alone = [_alone(Engine.open(num_threads=1), text) for text in TEXTS]
    engine = Engine.open(num_threads=1, memory=memory, remembered_mb=remembered_mb)
    sessions = [Session.on(engine) for _ in TEXTS]
    together: list[list[object]] = [[] for _ in TEXTS]
    for step in range(max(map(len, alone))):
        for session, text, made in zip(sessions, TEXTS, together, strict=True):
            if step < len(_events(text)):
                made.append(_bar(session, _events(text)[step]))
    assert together == alone


def test_what_one_keyboard_learns_no_other_is_offered() -> None:
    engine = Engine.open(num_threads=1)
    first, second = Session.on(engine), Session.on(engine)
    for event in (*map(Typed, "we met zorblax"), SlotAccepted("zorblax"), *map(Typed, "there "), FieldStarted()):
        first.apply(event)
    assert first.personal.is_known("zorblax")
    for session in (first, second):
        session.apply(FieldStarted("we met zorb"))
    offered = [[slot.text for slot in session.suggest().slots] for session in (first, second)]
    assert "zorblax" in offered[0]
    assert "zorblax" not in offered[1]


def test_a_full_budget_costs_calls_and_no_answers() -> None:
    session = Session.on(Engine.open(num_threads=1, remembered_mb=0.0))
    for event in _events(TEXTS[0]):
        edit, answer = _bar(session, event)
        assert answer.stage == "full"
        assert edit is not None


def test_closed_keyboards_leave_nothing_in_the_budget() -> None:
    engine = Engine.open(num_threads=1, remembered_mb=64.0)
    budget = engine._budget
    assert isinstance(budget, KnownBudget)
    session = Session.on(engine)
    for char in TEXTS[0]:
        session.apply(Typed(char))
        session.suggest()
    assert budget.num_bytes > 0
    session.close()
    assert budget.num_bytes == 0


def test_a_closed_keyboard_is_gone_without_a_collection() -> None:
    engine = Engine.open(num_threads=1, remembered_mb=64.0)
    Session.on(engine).close()  # the engine's own cache went to this one
    session = Session.on(engine)
    for event in _events(TEXTS[0]):
        _bar(session, event)
    gc.collect()
    gc.disable()
    try:
        suggester = session._suggester
        left = [weakref.ref(each) for each in (session, suggester, suggester._boundaries.cache.backend)]
        session.close()
        del session, suggester
        assert [each() for each in left] == [None] * len(left)
    finally:
        gc.enable()


def test_an_engine_has_one_backend() -> None:
    engine = Engine.open(num_threads=1)
    with pytest.raises(ConfigError, match="one backend"):
        engine.suggester(SessionOptions(num_threads=2))
