"""The laws of a text field under a keyboard, over all of Unicode, and golden examples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from keyboard_lm.evaluation.engine import Correction
from keyboard_lm.keyboard.editor import Editor, EditorOptions
from keyboard_lm.keyboard.events import (
    Backspaced,
    CursorMoved,
    Edit,
    Event,
    FieldStarted,
    FinishedWord,
    GhostAccepted,
    ShiftPressed,
    SlotAccepted,
    Swiped,
    TextChanged,
    Typed,
    Undone,
)
from keyboard_lm.text.form import TextForm
from keyboard_lm.text.graphemes import cluster_start
from keyboard_lm.text.typing_rules import line_before, needs_space, word_span
from keyboard_lm.touch.layout import Tap

_GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "editor.json").read_text(encoding="utf-8"))

# Strung together, these meet the interesting rules all the time; whole Unicode does so rarely.
FRAGMENTS = st.sampled_from(
    [
        *("a", "b", "teh", "I", "i", "i'm", "e.g.", "1", "3.5", "10:30", "ß", "İ", "é", "你", "שלום", "مرحبا", "क्षि"),
        *(" ", " ", " ", "  ", "\n", "\t", "\u2028", "\u00a0", "'", "’", '"', "(", ")", "-", "@", "/", "#", "_", "⁀"),
        *(".", ".", ",", "!", "?", ";", ":", "…", "،", "。", ". ", "%", "$", ":)", "www.x.y", "\r\n", "\x1f"),
        *("👩\u200d👧", "👍🏽", "🇩🇪", "❤\ufe0f", "1\ufe0f\u20e3", "\ufe0f", "\u200d", "\u0301"),
        *("\u202e", "\x00", "\ud800", "\udfff"),
    ]
)  # fmt: skip
CHARACTERS = st.characters(codec=None)  # lone surrogates included
TEXTS = st.one_of(st.lists(FRAGMENTS, max_size=8).map("".join), st.text(CHARACTERS, max_size=12))
KEYS = st.one_of(FRAGMENTS, CHARACTERS)
TAPS = st.none() | st.builds(Tap, st.just(0.5), st.just(1.5))


def type_text(editor: Editor, text: str, correction: Correction | None = None) -> list[Edit]:
    """Type each character; the correction is offered with every one of them."""
    return [editor.apply(Typed(char, None, correction)) for char in text]


def field(text: str, cursor: int | None = None, options: EditorOptions | None = None) -> Editor:
    editor = Editor(options)
    editor.apply(TextChanged(text, len(text) if cursor is None else cursor))
    return editor


def state(editor: Editor) -> tuple[object, ...]:
    return editor.text, editor.cursor, editor.taps[-60:], editor.shift, editor.has_auto_space


def apply_to(before: str, after: str, edit: Edit) -> tuple[str, str]:
    """Do to a plain field what an app would."""
    assert before.endswith(edit.deleted_before)
    assert after.startswith(edit.deleted_after)
    return before[: len(before) - len(edit.deleted_before)] + edit.inserted, after[len(edit.deleted_after) :]


class AnyEvents(RuleBasedStateMachine):
    """Random events beside a plain string that is changed by the edits alone."""

    def __init__(self) -> None:
        super().__init__()
        self.editor = Editor()
        self.before = self.after = ""
        self.is_shift_pressed = False  # for one letter, perhaps

    def send(self, event: Event) -> Edit:
        self.is_shift_pressed = isinstance(event, ShiftPressed) or (
            self.is_shift_pressed and not isinstance(event, Typed)
        )
        edit = self.editor.apply(event)
        self.before, self.after = apply_to(self.before, self.after, edit)
        return edit

    @rule(char=KEYS, tap=TAPS)
    def type(self, char: str, tap: Tap | None) -> None:
        self.send(Typed(char, tap))

    @rule(letters=st.text("abi'.", min_size=1, max_size=4), tap=TAPS)
    def type_letters(self, letters: str, tap: Tap | None) -> None:
        for char in letters:
            self.send(Typed(char, tap))

    @rule(
        letters=st.text("abi'", max_size=3),
        char=st.sampled_from([" ", " ", ".", "\n", "?", "👍", "x", "@"]),
        length=st.just(0) | st.integers(1, 6),
        better=TEXTS,
        tap=TAPS,
    )
    def type_with_correction_then_undo(
        self, letters: str, char: str, length: int, better: str, tap: Tap | None
    ) -> None:
        self.type_letters(letters, tap)
        before, after, taps = self.before, self.after, self.editor.taps
        offered = Correction(before[len(before) - length :] if length else self.editor.word, better)
        edit = self.send(Typed(char, tap, offered))
        assert edit.correction in (None, offered) or edit.correction.replaced.lower() == edit.correction.text.lower()
        if edit.correction:
            assert self.before == before[: len(before) - len(edit.correction.replaced)] + edit.correction.text + char
            undo = self.send(Backspaced())
            assert (self.before, self.after) == (before + char, after)
            assert undo.undone == Undone(edit.correction.replaced, edit.correction.text)
            assert self.editor.taps[-1:] == (tap,)
            if char == "👍":
                return  # what comes before it may be part of the same character
            self.send(Backspaced())
            assert (self.before, self.editor.taps[-60:]) == (before, taps[-60:])
            assert not self.editor.allows(edit.correction)

    @rule(char=KEYS)
    def type_then_backspace(self, char: str) -> None:
        old, old_state = self.before + self.after, state(self.editor)
        was_pressed = self.is_shift_pressed
        edit = self.send(Typed(char))
        if edit.correction or edit.deleted_before or not edit.inserted:
            return  # something was corrected or a space put in or taken out
        if cluster_start(self.before, len(self.before)) == len(self.before) - len(edit.inserted):
            self.send(Backspaced())
            assert self.before + self.after == old
            assert was_pressed or state(self.editor) == old_state

    @rule()
    def backspace(self) -> None:
        length = len(self.before)
        edit = self.send(Backspaced())
        assert not edit.deleted_after
        assert bool(edit.deleted_before) == bool(length)

    @rule(word=st.text("abI'", min_size=1, max_size=4))
    def swipe_then_backspace(self, word: str) -> None:
        before, after = self.before, self.after
        edit = self.send(Swiped((), word))
        assert self.after == after
        assert edit.inserted.strip(" ").endswith(word)
        if edit.correction is None:
            assert self.before.startswith(before)
            self.send(Backspaced())
            assert (self.before, self.after) == (before, after)

    @rule(word=st.text("abI'", min_size=1, max_size=4))
    def swipe(self, word: str) -> None:
        self.send(Swiped((), word))

    @rule(word=TEXTS)
    def accept_slot(self, word: str) -> None:
        text, cursor = self.editor.text, self.editor.cursor
        start, end = word_span(text, cursor)
        self.send(SlotAccepted(word))
        if word:
            inserted = self.editor.text[start : len(self.editor.text) - len(text[end:])]
            assert self.editor.text == text[:start] + inserted + text[end:]
            assert inserted in (word, word + " ", " " + word, " " + word + " ")
            assert not inserted.startswith(" " + word) or start == end

    @rule(ghost=TEXTS, only_word=st.booleans())
    def accept_ghost(self, ghost: str, only_word: bool) -> None:
        before = self.before
        self.send(GhostAccepted(ghost, only_word))
        inserted = self.before[len(before) :]
        assert self.before.startswith(before)
        assert ghost.startswith((inserted, inserted.removesuffix(" ")))

    @rule(lock=st.booleans())
    def press_shift(self, lock: bool) -> None:
        shift = self.editor.shift
        self.send(ShiftPressed(lock))
        assert (self.editor.shift == "off") == (shift == "lock" if lock else shift != "off")

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        text = self.before + self.after
        offset = data.draw(st.integers(-2, len(text) + 2))
        self.send(CursorMoved(offset))
        cursor = min(max(offset, 0), len(text))
        self.before, self.after = text[:cursor], text[cursor:]

    @rule(text=TEXTS, data=st.data())
    def change(self, text: str, data: st.DataObject) -> None:
        offset = data.draw(st.integers(-2, len(text) + 2))
        self.send(TextChanged(text, offset))
        cursor = min(max(offset, 0), len(text))
        self.before, self.after = text[:cursor], text[cursor:]

    @rule(text=TEXTS, is_private=st.booleans())
    def start_field(self, text: str, is_private: bool) -> None:
        self.send(FieldStarted(text, is_private))
        self.before, self.after = text, ""

    @invariant()
    def edits_replayed_give_the_text(self) -> None:
        assert (self.editor.before, self.editor.text) == (self.before, self.before + self.after)
        assert len(self.editor.taps) <= self.editor.cursor
        start, end = word_span(self.editor.text, self.editor.cursor)
        assert start <= self.editor.cursor <= end
        assert len(self.editor.taps) >= self.editor.cursor - start


AnyEvents.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyEvents = AnyEvents.TestCase


@given(TEXTS, st.lists(TEXTS, min_size=1))
def test_any_text_can_be_typed_to_the_letter_whatever_is_corrected(literal: str, words: list[str]) -> None:
    editor = Editor()
    for number, char in enumerate(literal):
        if editor.shift == "on":
            editor.apply(ShiftPressed())
        before, offered = editor.text, Correction(editor.word, words[number % len(words)])
        edit = editor.apply(Typed(char, correction=offered))
        if edit.deleted_before:  # corrected, or made a full stop
            editor.apply(Backspaced())
        assert editor.text == before + char
    assert editor.text == literal


@given(st.text("ab c.", max_size=6), st.text("abc", min_size=1, max_size=4), st.text(" .,abc", max_size=6))
def test_a_restored_word_is_not_corrected_again(head: str, word: str, typed_on: str) -> None:
    editor = field(head + " ")
    type_text(editor, word)
    corrected = editor.apply(Typed(" ", correction=Correction(editor.word, "better"))).correction is not None
    editor.apply(Backspaced())
    if corrected:
        editor.apply(Backspaced())  # the space
        restored = editor.text
        for char in typed_on:
            start, _ = word_span(editor.text, editor.cursor)
            edit = editor.apply(Typed(char, correction=Correction(editor.text[start:], "better")))
            if start <= len(restored) - len(word):
                assert edit.correction is None


@given(TEXTS, TEXTS, st.text("abc", min_size=1, max_size=5))
def test_an_accepted_word_is_there_once_in_place_of_the_word_under_the_cursor(head: str, rest: str, word: str) -> None:
    text = head + rest
    start, end = word_span(text, len(head))
    editor = field(text, len(head))
    editor.apply(SlotAccepted(word))
    lead = " " if start == end and needs_space(line_before(text, len(head)), TextForm()) else ""
    trail = " " if editor.has_auto_space else ""
    assert editor.text == text[:start] + lead + word + trail + text[end:]
    behind = start + len(lead) + len(word)
    assert word_span(editor.text, behind)[1] == behind  # it does not run into what is there


@pytest.mark.parametrize(
    ("word", "rest", "text"),
    [
        *(("a", "'", "a'"), ("a", "'tis", "a 'tis"), ("a", "\u02bc", "a\u02bc"), ("a", "\u02bctis", "a \u02bctis")),
        *(("3", ".", "3."), ("3", ".5", "3 .5"), ("a", ".5", "a.5"), ("a", ", b", "a, b")),
    ],
)
def test_an_accepted_word_does_not_run_into_what_is_behind_it(word: str, rest: str, text: str) -> None:
    editor = field(rest, 0)
    editor.apply(SlotAccepted(word))
    assert editor.text == text


@pytest.mark.parametrize("mark", [*",.!?;:)'’]}%…"])
@pytest.mark.parametrize("word", ["word", "3", "don't"])
def test_the_space_of_an_accepted_word_goes_before_punctuation_and_comes_back(word: str, mark: str) -> None:
    editor = field("a ")
    editor.apply(SlotAccepted(word))
    old = state(editor)
    editor.apply(Typed(mark))
    assert editor.text == f"a {word}{mark}"
    editor.apply(Backspaced())
    assert state(editor) == old


@pytest.mark.parametrize("mark", [*'("[👍¿&5x'])
def test_the_space_of_an_accepted_word_stays_before_all_else(mark: str) -> None:
    editor = field("a ")
    editor.apply(SlotAccepted("word"))
    editor.apply(Typed(mark))
    assert editor.text == f"a word {mark}"


def test_a_space_that_was_typed_stays() -> None:
    editor = field("a ")
    editor.apply(SlotAccepted("word"))
    type_text(editor, " .")  # the first one only makes the space the writer's own
    assert editor.text == "a word ."


@pytest.mark.parametrize(
    "cluster",
    [
        *("a", "é", "e\u0301\u0323", "각", "\u1112\u1161\u11ab", "नि", "กำ", "שָׁ", "\r\n"),
        *("👍", "👍🏽", "👩\u200d👩\u200d👧\u200d👦", "🏳\ufe0f\u200d🌈", "🧑🏽\u200d⚕\ufe0f", "❤\ufe0f"),
        *("1\ufe0f\u20e3", "🇩🇪", "🏴\U000e0067\U000e0062\U000e007f", "\ud83d", "\udc00", "\x00", "\u200b", "\u00ad"),
    ],
)  # fmt: skip
def test_one_backspace_deletes_what_the_reader_sees_as_one_character(cluster: str) -> None:
    editor = field("🇫🇷 x" + cluster)
    edit = editor.apply(Backspaced())
    assert (edit.deleted_before, edit.num_backspaces) == (cluster, 1)
    editor = field("🇫🇷" + cluster)
    assert editor.apply(Backspaced()).deleted_before == cluster


def test_flags_are_deleted_one_by_one() -> None:
    editor = field("🇩🇪🇫🇷🇮")
    assert [editor.apply(Backspaced()).deleted_before for _ in range(3)] == ["🇮", "🇫🇷", "🇩🇪"]


def test_words_are_reported_once_and_never_what_was_undone_or_deleted() -> None:
    editor = Editor()
    edits = type_text(editor, "See teh ", Correction("teh", "the"))
    edits.append(editor.apply(Backspaced()))
    edits += type_text(editor, "cta ", Correction("cta", "cat"))
    edits += [editor.apply(Backspaced()) for _ in range(5)]
    edits += type_text(editor, "dog. It")
    edits.append(editor.apply(SlotAccepted("It's")))
    edits.append(editor.apply(GhostAccepted("so good", only_word=True)))
    edits.append(editor.apply(TextChanged("", 0)))
    words = [finished for edit in edits for finished in edit.finished]
    assert [word.word for word in words] == ["See", "teh", "dog", "It's", "so"]
    assert words[2] == FinishedWord("dog", "See teh ")


def test_a_sent_message_reports_its_last_word() -> None:
    editor = Editor()
    type_text(editor, "See you")
    assert [word.word for word in editor.apply(TextChanged("", 0)).finished] == ["See", "you"]


@pytest.mark.parametrize("typed", ["jo@ex.org ", "www.example.com ", "#tag ", "a_b ", "3.5 ", "e.g. "])
def test_parts_of_addresses_are_not_reported(typed: str) -> None:
    editor = Editor()
    edits = [*type_text(editor, typed), editor.apply(FieldStarted())]
    assert {word.word for edit in edits for word in edit.finished} <= {"Www", "3.5"}


def test_nothing_is_reported_from_a_private_field_or_of_text_that_was_not_typed() -> None:
    editor = Editor()
    edits = [editor.apply(FieldStarted(is_private=True)), *type_text(editor, "my secret word ")]
    edits += [editor.apply(FieldStarted("Pasted text")), *type_text(editor, ", "), editor.apply(CursorMoved(2))]
    edits += [editor.apply(FieldStarted())]
    assert not any(edit.finished for edit in edits)


def test_taps_are_those_of_the_word_and_come_back_with_the_literal() -> None:
    editor = field("so ")
    for x, char in enumerate("teh"):
        editor.apply(Typed(char, Tap(x, 0)))
    taps = editor.taps
    assert taps == (Tap(0, 0), Tap(1, 0), Tap(2, 0))
    editor.apply(Typed(" ", Tap(5, 3), Correction("teh", "the")))
    corrected = editor.taps
    assert corrected == (None, None, None, Tap(5, 3))
    editor.apply(Backspaced())
    editor.apply(Backspaced())
    assert editor.taps == taps


def test_an_undone_capital_is_left_once_its_option_is() -> None:
    editor = field("so ", options=EditorOptions(capital_words=frozenset({"i"})))
    edits = type_text(editor, "i ")
    assert edits[-1].correction == Correction("i", "I")
    assert editor.apply(Backspaced()).undone == Undone("i", "I")
    editor.options = EditorOptions(capital_words=frozenset())
    type_text(editor, "and i ")
    assert editor.text == "so i and i "


def play(editor: Editor, step: Mapping[str, Any]) -> list[Edit]:
    """Send the events of one step of a golden example."""
    kind, value = next(iter(step.items()))
    if kind == "typed":
        *chars, last = list(value) if not step.get("as_one") else [value]
        correction = Correction(*step["correction"]) if "correction" in step else None
        return [*type_text(editor, "".join(chars)), editor.apply(Typed(last, correction=correction))]
    if kind == "backspaced":
        return [editor.apply(Backspaced()) for _ in range(value)]
    events: dict[str, Event] = {
        "shift_pressed": ShiftPressed(value == "twice"),
        "slot_accepted": SlotAccepted(str(value)),
        "ghost_accepted": GhostAccepted(str(value), step.get("only_word", False)),
        "cursor_moved": CursorMoved(value if isinstance(value, int) else 0),
        "text_changed": TextChanged(str(value), step.get("cursor", 0)),
        "field_started": FieldStarted(str(value), step.get("is_private", False)),
    }
    return [editor.apply(events[kind])]


@pytest.mark.parametrize("case", _GOLDEN["cases"], ids=lambda case: case["name"])
def test_golden_examples(case: Mapping[str, Any]) -> None:
    editor = Editor()
    edits = [edit for step in case["events"] for edit in play(editor, step)]
    assert (editor.text, editor.cursor) == (case["text"], case["cursor"])
    if "shift" in case:
        assert editor.shift == case["shift"]
    if "finished" in case:
        assert [word.word for edit in edits for word in edit.finished] == case["finished"]
    if "undone" in case:
        assert [[edit.undone.literal, edit.undone.corrected] for edit in edits if edit.undone] == case["undone"]


@given(st.text("ab ,", max_size=8), st.integers(0, 8))
def test_a_word_from_the_bar_stays_whatever_is_put_in_or_taken_out_before_it(put_in: str, num_taken: int) -> None:
    editor = field("so ")
    editor.apply(SlotAccepted("teh"))
    type_text(editor, "hte")
    editor.apply(CursorMoved(2))
    type_text(editor, put_in)
    for _ in range(min(num_taken, len(put_in))):
        editor.apply(Backspaced())
    end = editor.text.index("teh") + len("teh")
    editor.apply(CursorMoved(end))
    assert not editor.allows(Correction("teh", "the"))
    editor.apply(CursorMoved(len(editor.text)))
    assert editor.allows(Correction("hte", "the"))
