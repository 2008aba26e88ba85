"""The whole keyboard under test: a session, typed into as a phone's owner would."""

from __future__ import annotations

from dataclasses import replace

from keyboard_lm.backends.protocol import Backend
from keyboard_lm.device.budget import BUDGET_MS, load_device
from keyboard_lm.evaluation.engine import Bar, word_under_cursor
from keyboard_lm.keyboard.bar import Taps
from keyboard_lm.keyboard.events import Backspaced, FieldStarted, ShiftPressed, TextChanged, Typed
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.session import Session
from keyboard_lm.keyboard.suggester import Suggester, SuggesterOptions
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.personal import PersonalStore
from keyboard_lm.touch.layout import Tap, load_layout

DEFAULT_SLOTS = 3


class KeyboardEngine:
    """An `Engine` over a `Session`, with the options that ship.

    What the evaluation asks about is brought into the session's field: the letters of the word under the cursor by
    typing them, what stands before them as if it had been pasted. So the field forbids corrections where it would,
    words that were on the bar stay in their places, and a space is typed to see what it does. Nothing is learned,
    unless asked. A bar of another length is another keyboard.

    The bar is the one that is shown. Slots that stand for something else than the word under the cursor (the next word,
    an emoji, two words put together) take their places, but are no answer to what the evaluation asks.

    Args:
        backend: the network; nobody else may use its cache between two calls of `start_field`.
        tokenizer: the one it was trained with.
        options: how to answer; `num_slots` is what the evaluation asks for.
        language: of the words.
        layout: of the keyboard.
        device: whose budget is kept, by estimate.
        budget_ms: for one keystroke on it.
        personal: what was learned from the writer; None for nothing.
        learns: whether more is learned while typing.
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        options: SuggesterOptions | None = None,
        language: str = "en",
        layout: str = "qwerty",
        device: str = "iphone-15",
        budget_ms: float = BUDGET_MS,
        personal: PersonalStore | None = None,
        learns: bool = False,
    ) -> None:
        self._backend, self._tokenizer = backend, tokenizer
        self._options = options or SuggesterOptions()
        self._language, self._layout = load_language(language), load_layout(layout)
        self._cost = load_device(device).cost(backend.config)
        self._budget_ms = budget_ms
        self._personal = personal or PersonalStore.open(None, knows=self._language.lexicon.known)
        self._learns = learns
        self._suggesters: dict[int, Suggester] = {}
        self._num_slots = DEFAULT_SLOTS
        self._session = self._open(DEFAULT_SLOTS)

    def start_field(self) -> None:
        """Forget everything, so that what comes next does not depend on what came before, to the last bit."""
        self._session = self._open(self._num_slots)

    def bar(self, text: str, num_slots: int, taps: Taps = ()) -> Bar:
        """Return the words that are shown, what a space would correct, and the ghost text."""
        if num_slots not in (0, self._num_slots):
            self._num_slots = num_slots
            self._session = self._open(num_slots)
        self._bring(text, taps)
        answer = self._session.suggest()
        word = word_under_cursor(text)
        return Bar(
            tuple(slot.text for slot in answer.slots if slot.replaced == word) if num_slots else (),
            answer.correction,
            answer.ghost.text if answer.ghost is not None else "",
            answer.num_model_calls,
        )

    def finished(self, text: str, taps: Taps = ()) -> str:
        """Type a space behind a text, and return what stands before it then."""
        self._bring(text, taps)
        self._session.apply(Typed(" "))
        return self._session.text.removesuffix(" ")

    def undone(self) -> str:
        """Press backspace, and return what stands there then without a space at its end."""
        self._session.apply(Backspaced())
        return self._session.text.removesuffix(" ")

    def _open(self, num_slots: int) -> Session:
        suggester = self._suggesters.get(num_slots)
        if suggester is None:
            options = replace(self._options, num_slots=num_slots)
            made = Suggester(self._backend, self._tokenizer, self._language, self._layout, self._personal, options)
            suggester = self._suggesters[num_slots] = made
        suggester.forget()
        session = Session(suggester, self._personal, self._cost, self._budget_ms, self._language.editor)
        session.apply(FieldStarted(is_private=not self._learns))
        return session

    def _bring(self, text: str, taps: Taps) -> None:
        session, word = self._session, word_under_cursor(text)
        if session.text != text or session.cursor != len(text):
            if not (text.startswith(session.text) and len(session.text) >= len(text) - len(word)):
                before = text[: len(text) - len(word)]
                session.apply(TextChanged(before, len(before)))
            known = taps if len(taps) >= len(word) else ()
            for place in range(len(session.text), len(text)):
                self._type(text[place], known[place - len(text)] if known else None)
            if session.text != text:
                session.apply(TextChanged(text, len(text)))

    def _type(self, char: str, tap: Tap | None) -> None:
        shift = self._session.shift
        if char.islower() and shift != "off":  # the keys would show a capital
            self._session.apply(ShiftPressed(lock=shift == "lock"))
        self._session.apply(Typed(char, tap))
