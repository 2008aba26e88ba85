"""A keyboard: told what happens to it, it says what to do to the text and what the bar shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from keyboard_lm.device.budget import BUDGET_MS, CallCost, load_device
from keyboard_lm.device.turn import Turn
from keyboard_lm.keyboard.bar import Answer, Correction, Request, Shift, arranged
from keyboard_lm.keyboard.editor import Editor, EditorOptions
from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.keyboard.events import (
    Backspaced,
    Edit,
    Event,
    FieldStarted,
    FinishedWord,
    ShiftPressed,
    Swiped,
    Typed,
    Undone,
)
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.options import SessionOptions
from keyboard_lm.keyboard.suggester import Suggester
from keyboard_lm.keyboard.why import Explained
from keyboard_lm.personal import PersonalStore
from keyboard_lm.text.form import capitalise, normalise, split_marks
from keyboard_lm.text.typing_rules import APOSTROPHES, is_word_char
from keyboard_lm.touch.path import is_tap, tap_of

__all__ = ["Session", "SessionOptions"]


class Session:
    """One keyboard over one text field after another; to be used from one thread.

    What happens goes in by `apply`, which answers at once; the bar comes from `suggest`. A key that ends a word before
    there was a bar for it gets its correction first, as `suggest` would give it.

    Args:
        suggester: makes the bar.
        personal: learns.
        cost: of the network's calls on the device.
        budget_ms: for each answer, on the device.
        editor: what the text field does by itself; None for nothing special.
        timer: seconds that only go forward, which deadlines are instants of.

    Attributes:
        revision: how many events there have been.
        shown: the bar as it stands; of an older revision until `suggest` is called.
        warnings: what could not be remembered, the latest last.
    """

    def __init__(
        self,
        suggester: Suggester,
        personal: PersonalStore,
        cost: CallCost,
        budget_ms: float = BUDGET_MS,
        editor: EditorOptions | None = None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.revision = 0
        self.shown = Answer(revision=-1)
        self.cost = cost
        self.budget_ms = budget_ms
        self._suggester = suggester
        self._personal = personal
        self._timer = timer
        self._editor = Editor(self._without_undone(editor or EditorOptions()), suggester.form)
        self._swiped_at = -1  # the revision at which the bar holds what else a path may have meant

    @classmethod
    def open(
        cls,
        folder: Path | None = None,
        options: SessionOptions | None = None,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.perf_counter,
    ) -> Session:
        """Open a keyboard over a checkpoint; None is the bundled model.

        Args:
            folder: of the checkpoint.
            options: what for.
            clock: seconds of the day, by which the personal store tells two sightings of a word apart.
            timer: seconds that only go forward, which deadlines are instants of.

        Raises:
            KeyboardLMError: the checkpoint, the personal file, or an option; the message says what to do.
        """
        options = options or SessionOptions()
        return cls.on(Engine.open(folder, options.backend, options.num_threads), options, None, clock, timer)

    @classmethod
    def on(
        cls,
        engine: Engine,
        options: SessionOptions | None = None,
        personal: PersonalStore | None = None,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.perf_counter,
    ) -> Session:
        """Open one of several keyboards over an engine, all to be used from one thread.

        Args:
            engine: what they share.
            options: what for; its backend and threads have to be the engine's.
            personal: a store that is open already, which `close` closes; None for the one that the options name.
            clock: as above.
            timer: as above.

        Raises:
            KeyboardLMError: the personal file, or an option; the message says what to do.
        """
        options = options or engine.options
        language = load_language(options.language)
        cost = load_device(options.device).cost(engine.config)
        store = personal or PersonalStore.open(options.personal, clock, language.lexicon.known)
        try:
            suggester = engine.suggester(options, store)
        except BaseException:
            if personal is None:
                store.close()
            raise
        return cls(suggester, store, cost, options.budget_ms, language.editor, timer)

    def close(self) -> None:
        """Learn the last word and close the personal file."""
        self.apply(FieldStarted())
        self._personal.close()
        self.forget()

    @property
    def text(self) -> str:
        """The text of the field."""
        return self._editor.text

    @property
    def cursor(self) -> int:
        """The cursor's offset in it, in code points."""
        return self._editor.cursor

    @property
    def shift(self) -> Shift:
        """Which letters the keys show."""
        return self._editor.shift

    @property
    def is_private(self) -> bool:
        """Whether nothing of the field is learned."""
        return self._editor.is_private

    def is_offensive(self, word: str) -> bool:
        """Return whether a word is never offered."""
        return self._suggester.is_offensive(word)

    @property
    def personal(self) -> PersonalStore:
        """What was learned, to be looked at, forgotten, exported."""
        return self._personal

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong without stopping anything."""
        return self._personal.warnings

    def apply(self, event: Event) -> Edit:
        """Bring the field to where an event leaves it, learn what that finished, and return what to do to the text.

        A swipe that stays on one key is that key; one that no word fits changes nothing.

        Raises:
            PathError: no finger can have drawn a swipe; nothing has changed.
        """
        if isinstance(event, Swiped) and not event.word:
            return self._swipe(event)
        if isinstance(event, Typed) and event.correction is None and self._may_end_word(event.char):
            event = replace(event, correction=self._pending())
        edit = self._editor.apply(event)
        self.revision += 1
        if not isinstance(event, (Typed, Backspaced, ShiftPressed)):
            self.shown = Answer(revision=-1)  # another place: nothing has to stay where it was
        if edit.undone is not None:
            self._undone(edit.undone)
        for word in edit.finished:
            self._learn(word)
        return edit

    def _swipe(self, event: Swiped) -> Edit:
        if is_tap(event.path):
            tap = tap_of(event.path)
            key = self._suggester.layout.key_at(tap)
            return self.apply(Typed(key, tap)) if key is not None else Edit()
        turn = Turn(self.cost, self.budget_ms, clock=self._timer)
        editor = self._editor
        request = Request(editor.before_swiped, shift=editor.shift_of_swiped, revision=self.revision, path=event.path)
        answer = self._suggester.answer(request, turn)
        if not answer.slots:
            return Edit()
        word, *others = answer.slots
        edit = self.apply(replace(event, word=word.text))
        # What an alternative replaces: the word that went in, and the space behind it.
        replaced = word.text + " " * self._editor.has_auto_space
        slots = tuple(replace(slot, replaced=replaced) for slot in others)
        self.shown = replace(answer, slots=slots, revision=self.revision)
        self._swiped_at = self.revision
        return edit

    def request(self) -> Request:
        """Return the field as it stands, to be answered elsewhere; give the answer to `show`."""
        editor = self._editor
        return Request(editor.before, editor.taps, editor.shift, editor.word_ends_here, self.revision)

    def suggest(self, deadline: float | None = None, is_stale: Callable[[], bool] | None = None) -> Answer:
        """Return the bar for the field as it stands, and show it.

        Args:
            deadline: an instant on the timer; what is known then is the answer. A call of the network that has begun is
                waited for.
            is_stale: asked before each call whether somebody still waits for the answer.
        """
        if self.shown.revision == self.revision and (self.shown.stage == "full" or self._swiped_at == self.revision):
            return self.shown
        turn = Turn(self.cost, self.budget_ms, deadline, self._timer, is_stale)
        self.show(self._suggester.answer(self.request(), turn))
        return self.shown

    def suggest_at_once(self) -> Answer:
        """Return, and show, the bar that needs no call of the network: lexicon, what was learned, what is cached."""
        self.show(self._suggester.answer(self.request(), Turn(self.cost, 0.0, clock=self._timer)))
        return self.shown

    def explain(self) -> tuple[Explained, ...]:
        """Return every offer that there is for the field as it stands: where it came from, what it is worth."""
        return self._suggester.explain(self.request(), Turn(self.cost, self.budget_ms, clock=self._timer))

    def show(self, answer: Answer) -> bool:
        """Put an answer on the bar, words that stay in their places; return False where it comes too late.

        Behind a swiped word the bar holds what else may have been meant, and no answer takes its place.
        """
        if answer.revision != self.revision or self._swiped_at == self.revision:
            return False
        correction = answer.correction
        if correction is not None and not self._editor.allows(correction):
            answer = replace(
                answer, correction=None, slots=tuple(slot for slot in answer.slots if slot.kind != "literal")
            )
        slots = arranged(answer.slots, self.shown.slots)
        self.shown = answer if slots == answer.slots else replace(answer, slots=slots)
        return True

    def next_letters(self) -> dict[str, float]:
        """Return how probable each letter is to be typed next, as far as the network has been asked already."""
        return self._suggester.next_letters(self.request())

    def forget(self) -> None:
        """Drop what the network has computed for earlier texts; nothing that was learned."""
        self._suggester.forget()

    def _pending(self) -> Correction | None:
        return self.suggest().correction if self.shown.revision != self.revision else self.shown.correction

    def _may_end_word(self, char: str) -> bool:
        return bool(char) and not is_word_char(char[0]) and char[0] not in APOSTROPHES and bool(self._editor.word)

    def _learn(self, finished: FinishedWord) -> None:
        form = self._suggester.form
        tokens = [split_marks(token)[1] for token in form.encode_tokens(normalise(finished.context + finished.word))]
        if tokens:
            self._personal.learn(tokens[-1:], tokens[:-1], "accepted" if finished.is_meant else "typed")

    def _undone(self, undone: Undone) -> None:
        if self._personal.shortcuts.text(undone.literal) is not None:
            return  # the letters this once; they still stand for the text
        words = self._editor.options.capital_words
        self._editor.options = replace(self._editor.options, capital_words=words - {normalise(undone.literal)})
        if not self._editor.is_private:
            self._personal.block(undone.literal, undone.corrected)

    def _without_undone(self, options: EditorOptions) -> EditorOptions:
        kept = {word for word in options.capital_words if not self._personal.is_blocked(word, capitalise(word))}
        return replace(options, capital_words=frozenset(kept))
