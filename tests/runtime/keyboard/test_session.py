"""The whole keyboard, event by event: what it remembers, what it refuses, and what it does without a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.keyboard.bar import Answer, Correction, Slot
from keyboard_lm.keyboard.events import (
    Backspaced,
    CursorMoved,
    Edit,
    FieldStarted,
    GhostAccepted,
    SlotAccepted,
    TextChanged,
    Typed,
    Undone,
)
from keyboard_lm.keyboard.session import Session, SessionOptions

MINUTE = 61.0  # a word seen again sooner has not been seen again


class Clock:
    """Seconds that go on when they are told to, or by so much each time they are asked for."""

    def __init__(self, now: float = 1_000.0, step: float = 0.0) -> None:
        self.now, self.step = now, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def open_session(personal: Path | None = None, clock: Callable[[], float] | None = None) -> Session:
    options = SessionOptions(personal=personal, num_threads=1)
    return Session.open(options=options) if clock is None else Session.open(options=options, clock=clock)


@pytest.fixture
def session() -> Session:
    return open_session()


def type_text(session: Session, text: str, looks: bool = True) -> list[Edit]:
    """Type each character, with a look at the bar behind each, or without any."""
    edits = []
    for char in text:
        edits.append(session.apply(Typed(char)))
        if looks:
            session.suggest()
    return edits


def texts(slots: Iterable[Slot]) -> list[str]:
    return [slot.text for slot in slots]


# Corrections and the way back


def test_a_space_puts_in_what_the_bar_announced(session: Session) -> None:
    type_text(session, "what is teh")
    announced = session.shown.correction
    assert announced == Correction("teh", "the")
    edit = session.apply(Typed(" "))
    assert (edit.deleted_before, edit.inserted, edit.correction) == ("teh", "the ", announced)
    assert session.text == "What is the "


@pytest.mark.parametrize("text", ["what is teh", "dont", "I said helo", "see you tomorow", "what is the", "inthe"])
def test_a_key_before_the_bar_gives_what_a_key_after_the_bar_gives(text: str) -> None:
    looking, hasty = open_session(), open_session()
    type_text(looking, text)
    type_text(hasty, text[:-1])
    hasty.apply(Typed(text[-1]))  # nobody asks for the bar of the whole word
    assert looking.apply(Typed(" ")) == hasty.apply(Typed(" "))
    assert looking.suggest().slots == hasty.suggest().slots


@pytest.fixture(scope="module")
def two_sessions() -> tuple[Session, Session]:
    return open_session(), open_session()


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["teh", "what", "dont", "i", "helo", "wrold", "a"]), min_size=1, max_size=4))
def test_somebody_who_never_looks_at_the_bar_is_corrected_all_the_same(
    two_sessions: tuple[Session, Session], words: list[str]
) -> None:
    looking, hasty = two_sessions
    for session in two_sessions:
        session.apply(FieldStarted())
        session.personal.clear()
    for word in words:
        type_text(looking, word[:-1])
        type_text(hasty, word[:-1], looks=False)
        # A bar on the way may have called the network; the answer to the whole word may not depend on that.
        looking.forget()
        hasty.forget()
        type_text(looking, word[-1])
        hasty.apply(Typed(word[-1]))
        assert looking.apply(Typed(" ")).correction == hasty.apply(Typed(" ")).correction
    assert looking.text == hasty.text


def undo_correction(session: Session, word: str) -> Undone:
    """Type a word that is corrected, take that back, and go to another field."""
    session.apply(FieldStarted("So ", session.is_private))
    type_text(session, word)
    edit = session.apply(Typed(" "))
    assert edit.correction is not None
    undone = session.apply(Backspaced()).undone
    assert undone == Undone(edit.correction.replaced, edit.correction.text)
    assert session.text == f"So {word} "
    session.apply(FieldStarted("So ", session.is_private))
    return undone


@pytest.mark.parametrize("word", ["teh", "dont", "i", "wrold"])
def test_what_was_undone_stays_undone_in_other_fields_and_after_a_restart(word: str, tmp_path: Path) -> None:
    file = tmp_path / "learned"
    session = open_session(file)
    undo_correction(session, word)
    for _ in range(2):
        type_text(session, f"{word} ")
        assert session.text == f"So {word} "
        session.close()
        session = open_session(file)
        session.apply(FieldStarted("So "))
    type_text(session, f"{word} ")
    assert session.text == f"So {word} "


def test_what_was_undone_in_a_private_field_is_not_remembered_for_others(tmp_path: Path) -> None:
    session = open_session(tmp_path / "learned")
    session.apply(FieldStarted("", is_private=True))
    undo_correction(session, "teh")
    session.apply(FieldStarted("So ", is_private=False))
    type_text(session, "teh ")
    assert session.text == "So the "


def test_a_correction_that_was_announced_for_another_word_is_not_applied(session: Session) -> None:
    type_text(session, "what is teh")
    assert session.shown.correction is not None
    session.apply(TextChanged("what is tea", 11))
    assert session.apply(Typed(" ")).correction is None
    assert session.text == "what is tea "


# Answers that come too late, or that the field forbids


def test_an_answer_to_an_older_state_is_not_shown(session: Session) -> None:
    type_text(session, "what is teh")
    old = session.suggest()
    assert old.correction is not None
    for event in (Typed("n"), Backspaced(), CursorMoved(0), TextChanged("teh", 3), FieldStarted("teh")):
        session.apply(event)
        shown = session.shown
        assert not session.show(old)
        assert session.shown is shown
    new = session.suggest()
    assert session.show(replace(new, slots=new.slots[:1]))
    assert texts(session.shown.slots) == texts(new.slots[:1])


def forged(session: Session) -> Answer:
    """An answer, in time, that announces a correction of "teh"."""
    slots = Slot("the", "correction", 0.9, "teh"), Slot("teh", "literal", 0.05, "teh"), Slot("tech", "completion", 0.05)
    return Answer(slots, Correction("teh", "the"), revision=session.revision)


def test_a_correction_that_the_field_forbids_is_neither_shown_nor_applied(session: Session) -> None:
    session.apply(FieldStarted("So "))
    type_text(session, "teh ")
    session.apply(Backspaced())  # restores the word
    session.apply(Backspaced())
    assert session.text == "So teh"
    assert session.show(forged(session))
    assert session.shown.correction is None
    assert texts(session.shown.slots) == ["the", "tech"]
    session.apply(Typed(" "))
    assert session.text == "So teh "


def test_a_correction_that_the_field_allows_is_shown_and_applied(session: Session) -> None:
    session.apply(FieldStarted("So "))
    type_text(session, "teh", looks=False)
    assert session.show(forged(session))
    assert texts(session.shown.slots) == ["teh", "the", "tech"]
    session.apply(Typed(" "))
    assert session.text == "So the "


@pytest.mark.parametrize("text", ["a@teh", "teh", "#teh"])
def test_no_correction_inside_a_word_or_an_address(session: Session, text: str) -> None:
    session.apply(TextChanged(f"{text}x", len(text)))
    session.show(forged(session))
    assert session.shown.correction is None


@pytest.mark.parametrize("mark", ["@", "#", "/", "_", "."])
@pytest.mark.parametrize("before", ["", "see "])
def test_no_correction_behind_the_sign_of_an_address(session: Session, mark: str, before: str) -> None:
    session.apply(TextChanged(f"{before}{mark}teh", len(before) + 4))
    session.show(forged(session))
    assert session.shown.correction is None
    session.apply(Typed(" "))
    assert session.text == f"{before}{mark}teh "


def test_a_blocked_word_is_never_offered_and_an_allowed_one_may_be() -> None:
    options = SessionOptions(num_threads=1, blocked=frozenset({"to"}))
    session, plain = Session.open(options=options), open_session()
    for each in (session, plain):
        type_text(each, "I am going ", looks=False)
    assert "to" in texts(plain.suggest().slots)
    assert "to" not in texts(session.suggest().slots)
    assert session.is_offensive("to")
    assert not Session.open(options=replace(options, allowed=frozenset({"to"}))).is_offensive("to")


def test_the_bar_is_made_once_for_each_state(session: Session) -> None:
    type_text(session, "what is t")
    assert session.suggest() is session.suggest()
    assert session.suggest().revision == session.revision
    session.apply(Typed("e"))
    assert session.shown.revision != session.revision


def test_words_that_stay_keep_their_places(session: Session) -> None:
    type_text(session, "thank you so m")
    before = texts(session.shown.slots)
    session.apply(Typed("u"))
    after = texts(session.suggest().slots)
    for place, word in enumerate(after):
        if word in before and before.index(word) < len(after):
            assert place == before.index(word)
    session.apply(CursorMoved(0))
    assert session.shown.slots == ()  # another place: nothing has to stay


# Time


def test_after_its_deadline_an_answer_asks_the_network_no_more(session: Session) -> None:
    session.apply(FieldStarted("I am going"))
    late = session.suggest(deadline=0.0)
    assert (late.stage, late.num_model_calls) == ("personal_and_lexicon", 0)
    assert late.slots
    full = session.suggest()  # a poor bar is made again
    assert (full.stage, full.num_model_calls > 0) == ("full", True)
    assert session.suggest(deadline=0.0) is full  # a full one is there already


def test_what_was_asked_about_ahead_is_there_after_the_deadline_too(session: Session) -> None:
    type_text(session, "I am", looks=True)  # and what comes after "am"
    session.apply(Typed(" "))
    late = session.suggest(deadline=0.0)
    assert late.num_model_calls == 0
    assert late.stage in ("cached", "full")


def test_a_deadline_that_passes_half_way_ends_the_calls() -> None:
    timer = Clock()
    session = Session.open(options=SessionOptions(num_threads=1), timer=timer)
    type_text(session, "I have unfortun", looks=False)
    session.forget()  # what was asked about ahead
    timer.step = 1.0  # every look at the clock takes a second
    unhurried = session.suggest()
    session.forget()
    numbers = set()
    for seconds in range(1, 60):
        session.apply(Typed("x"))
        session.apply(Backspaced())
        session.forget()
        answer = session.suggest(deadline=timer.now + seconds)
        assert (answer.num_model_calls == unhurried.num_model_calls) == (answer.stage == "full")
        numbers.add(answer.num_model_calls)
    assert numbers == set(range(unhurried.num_model_calls + 1))


def test_a_deadline_far_away_changes_nothing(session: Session) -> None:
    type_text(session, "I am going", looks=False)
    with_deadline = session.suggest(deadline=float("inf"))
    session.forget()
    other = open_session()
    type_text(other, "I am going", looks=False)
    assert with_deadline.slots == other.suggest().slots
    assert with_deadline.stage == "full"


def test_no_call_is_made_for_an_answer_that_nobody_waits_for(session: Session) -> None:
    session.apply(FieldStarted("I am going"))
    asked: list[bool] = []

    def is_stale() -> bool:
        asked.append(True)
        return True

    answer = session.suggest(is_stale=is_stale)
    assert asked
    assert (answer.stage, answer.num_model_calls) == ("personal_and_lexicon", 0)
    assert session.suggest(is_stale=lambda: False).stage == "full"


def test_somebody_who_stops_waiting_half_way_gets_what_is_known_then(session: Session) -> None:
    type_text(session, "I have unfortun", looks=False)
    num_calls = session.suggest().num_model_calls
    assert num_calls > 1
    session.forget()
    session.apply(Typed("x"))
    session.apply(Backspaced())
    answers = iter([False])
    half = session.suggest(is_stale=lambda: next(answers, True))
    assert 0 < half.num_model_calls < num_calls
    assert half.stage in ("fewer_branches", "no_branches")


def test_the_bar_at_once_asks_nothing(session: Session) -> None:
    type_text(session, "hi the", looks=False)
    answer = session.suggest_at_once()
    assert (answer.num_model_calls, answer.stage) == (0, "personal_and_lexicon")
    assert session.shown.revision == session.revision
    assert session.suggest().num_model_calls > 0


def test_a_budget_bounds_the_estimated_time(session: Session) -> None:
    session.budget_ms = 2.0
    for char in "unfortunately I am going":
        session.apply(Typed(char))
        assert session.suggest().device_ms <= 2.0


# Learning


def test_a_word_is_learned_with_the_words_before_it() -> None:
    clock = Clock()
    session = open_session(clock=clock)
    for _ in range(4):
        session.apply(FieldStarted("we saw "))
        type_text(session, "purple giraffes today. ", looks=False)
        clock.now += MINUTE
    session.apply(FieldStarted("I like purple "))
    assert "giraffes" in texts(session.suggest().slots)
    session.apply(FieldStarted("I like green "))
    assert "giraffes" not in texts(session.suggest().slots)


def test_an_unknown_word_is_learned_the_second_time_and_offered() -> None:
    clock = Clock()
    session = open_session(clock=clock)
    for _ in range(2):
        session.apply(FieldStarted("talk to "))
        type_text(session, "Xiangyu now")
        clock.now += MINUTE
    session.apply(FieldStarted("talk to Xi"))
    assert "Xiangyu" in texts(session.suggest().slots)


def test_what_is_accepted_is_learned_at_once_as_meant(session: Session) -> None:
    session.apply(FieldStarted("talk to "))
    session.apply(SlotAccepted("Xiangyu", ""))
    session.apply(FieldStarted())
    assert session.personal.is_known("xiangyu")


def test_ghost_text_that_is_accepted_is_learned(session: Session) -> None:
    session.apply(FieldStarted("talk to "))
    session.apply(GhostAccepted("Xiangyu"))
    session.apply(FieldStarted())
    assert session.personal.is_known("xiangyu")


def test_the_last_word_is_learned_when_the_keyboard_is_closed(tmp_path: Path) -> None:
    session = open_session(tmp_path / "learned")
    type_text(session, "good morning")
    session.close()
    again = open_session(tmp_path / "learned")
    assert again.personal.is_known("morning")


def test_nothing_of_a_private_field_is_learned_or_written(tmp_path: Path) -> None:
    session = open_session(tmp_path / "learned")
    session.apply(FieldStarted("", is_private=True))
    assert session.is_private
    type_text(session, "hunter secret hunter secret")
    session.apply(SlotAccepted("swordfish"))
    session.close()
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"hunter" not in content
    assert b"swordfish" not in content


def test_what_was_deleted_at_once_is_not_learned(session: Session) -> None:
    type_text(session, "good giraffe ")
    for _ in "giraffe ":
        session.apply(Backspaced())
    type_text(session, "morning")
    session.apply(FieldStarted())
    assert session.personal.is_known("morning")
    assert not session.personal.is_known("giraffe")


def test_a_file_that_cannot_be_written_costs_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    from keyboard_lm.personal import file as personal_file

    monkeypatch.setattr(personal_file, "BUSY_TIMEOUT_S", 0.01)
    session = open_session(tmp_path / "learned")
    other = sqlite3.connect(tmp_path / "learned", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    undone = undo_correction(session, "teh")
    assert any("not remembered" in warning for warning in session.warnings)
    assert any("not learned" in warning for warning in session.warnings)
    other.execute("ROLLBACK")
    session.personal.block(undone.literal, undone.corrected)
    assert session.personal.is_blocked("teh", "the")
