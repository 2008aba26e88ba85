"""The laws of a keyboard under any events, over restarts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from keyboard_lm.evaluation.swiper import PERFECT, Swiper
from keyboard_lm.keyboard.bar import Answer
from keyboard_lm.keyboard.events import (
    Backspaced,
    CursorMoved,
    Edit,
    Event,
    FieldStarted,
    GhostAccepted,
    ShiftPressed,
    SlotAccepted,
    Swiped,
    TextChanged,
    Typed,
)
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.text.case import fold
from keyboard_lm.touch.layout import load_layout

from ...benchmarks.fuzz_sessions import Fuzzer

WORDS = st.sampled_from(["teh", "wrold", "dont", "i", "inthe", "Thsi", "hello", "xqzj", "a@b", "3.5", "ß", "I'm"])
SWIPER = Swiper(load_layout(), PERFECT)
NOT_A_WORD = "qzjxq"  # nobody types it elsewhere: only private fields do


class AnyKeyboard(RuleBasedStateMachine):
    """Any events on one keyboard, which is closed and opened again now and then, beside what it has to remember."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "learned"
        self.before = self.after = ""
        self.undone: set[tuple[str, str]] = set()  # in fields that are not private
        self.old: list[Answer] = []
        self.session = self.opened()

    def opened(self) -> Session:
        return Session.open(options=SessionOptions(personal=self.file, num_threads=1))

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.session.close()
            self.folder.cleanup()

    def send(self, event: Event) -> Edit:
        if self.session.shown.revision == self.session.revision:
            self.old = [*self.old[-3:], self.session.shown]
        edit = self.session.apply(event)
        assert self.before.endswith(edit.deleted_before)
        assert self.after.startswith(edit.deleted_after)
        self.before = self.before[: len(self.before) - len(edit.deleted_before)] + edit.inserted
        self.after = self.after[len(edit.deleted_after) :]
        if edit.undone is not None and not self.session.is_private:
            self.undone.add(_pair(edit.undone.literal, edit.undone.corrected))
        if edit.correction is not None:
            assert _pair(edit.correction.replaced, edit.correction.text) not in self.undone
        return edit

    @rule()
    def restart(self) -> None:
        self.session.close()
        self.session = self.opened()
        self.old = []
        self.before = self.after = ""

    @rule(word=WORDS, end=st.sampled_from(["", " ", " ", ".", "\n"]), looks=st.booleans())
    def type_word(self, word: str, end: str, looks: bool) -> None:
        for char in word + end:
            if looks:
                self.look()
            self.send(Typed(char))

    @rule(char=st.characters(codec=None))
    def type_any(self, char: str) -> None:
        self.send(Typed(char))

    @rule(word=WORDS, end=st.sampled_from(" .,\n"), looks=st.booleans())
    def correct_and_undo(self, word: str, end: str, looks: bool) -> None:
        self.type_word(word, "", looks)
        before = self.before
        if self.send(Typed(end)).correction is not None:
            assert self.send(Backspaced()).undone is not None
            assert self.before == before + end

    @rule(word=st.sampled_from(["hello", "too", "going", "i'm", "thank"]), is_taken_back=st.booleans())
    def swipe(self, word: str, is_taken_back: bool) -> None:
        before, after = self.before, self.after
        edit = self.send(Swiped(SWIPER.swipe(word, np.random.default_rng(0))))
        assert self.before
        assert edit.inserted
        if is_taken_back:
            self.send(Backspaced())
            assert self.after == after
            assert self.before.lower() == before.lower()  # "i" has become "I"

    @rule()
    def backspace(self) -> None:
        self.send(Backspaced())

    @rule(lock=st.booleans())
    def press_shift(self, lock: bool) -> None:
        self.send(ShiftPressed(lock))

    @rule(text=st.sampled_from(["", "So ", "it is teh", "hello"]), is_private=st.booleans())
    def start_field(self, text: str, is_private: bool) -> None:
        self.send(FieldStarted(text, is_private))
        self.before, self.after = text, ""

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        text = self.before + self.after
        cursor = data.draw(st.integers(0, len(text)))
        self.send(CursorMoved(cursor))
        self.before, self.after = text[:cursor], text[cursor:]

    @rule(text=st.sampled_from(["", "teh ", "see teh", "a@b.c"]))
    def change(self, text: str) -> None:
        self.send(TextChanged(text, len(text)))
        self.before, self.after = text, ""

    @rule(place=st.integers(0, 2))
    def accept_slot(self, place: int) -> None:
        slots = self.look().slots
        if place < len(slots):
            slot = slots[place]
            edit = self.send(SlotAccepted(slot.text, slot.replaced))
            assert edit.inserted.strip(" ") == slot.text.strip(" ")
            if slot.kind == "literal":
                assert self.send(Typed(" ")).correction is None

    @rule(only_word=st.booleans())
    def accept_ghost(self, only_word: bool) -> None:
        ghost = self.look().ghost
        if ghost is not None:
            edit = self.send(GhostAccepted(ghost.text, only_word))
            assert ghost.text.startswith(edit.inserted.rstrip(" "))

    @rule()
    def type_in_private(self) -> None:
        self.start_field("", True)
        self.type_word(NOT_A_WORD, " ", False)
        self.type_word(NOT_A_WORD, "\n", False)
        self.start_field("", False)

    @rule()
    def look_late(self) -> None:
        answer = self.session.suggest(deadline=0.0)
        assert answer.num_model_calls == 0 or answer.stage == "full"
        answer = self.session.suggest(is_stale=lambda: True)
        assert answer.revision == self.session.revision

    def look(self) -> Answer:
        answer = self.session.suggest()
        assert answer.revision == self.session.revision
        assert answer.stage == "full"
        offered = [slot for slot in answer.slots if slot.kind != "literal"]
        assert len({fold(slot.text) for slot in offered}) == len(offered) <= 3
        if answer.correction is not None:
            assert self.before.endswith(answer.correction.replaced)
            assert _pair(answer.correction.replaced, answer.correction.text) not in self.undone
            assert any(slot.kind == "literal" or slot.text == answer.correction.text for slot in answer.slots)
        return answer

    @rule()
    def look_at_the_bar(self) -> None:
        self.look()

    @precondition(lambda self: getattr(self, "old", None))
    @rule(data=st.data())
    def show_an_old_answer(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.old))
        shown = self.session.shown
        assert self.session.show(old) == (old.revision == self.session.revision)
        assert self.session.shown is shown or old.revision == self.session.revision

    @invariant()
    def edits_replayed_give_the_text(self) -> None:
        if hasattr(self, "session"):
            assert self.session.text == self.before + self.after
            assert self.session.cursor == len(self.before)
            assert not self.session.personal.is_known(NOT_A_WORD)
            assert not self.session.warnings


def _pair(literal: str, corrected: str) -> tuple[str, str]:
    # Two words that differ in case alone are another pair in another case.
    folded = fold(literal), fold(corrected)
    return folded if folded[0] != folded[1] else (literal, corrected)


AnyKeyboard.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
TestAnyKeyboard = AnyKeyboard.TestCase


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_no_law_is_broken_in_fuzzed_sessions(first: int) -> None:
    fuzzer = Fuzzer()
    for seed in range(first, first + 50):
        fuzzer.run(seed)
