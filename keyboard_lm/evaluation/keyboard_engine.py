"""The whole keyboard under test: the bar that a session shows, asked as the evaluation asks."""

from __future__ import annotations

import math
from dataclasses import replace

from keyboard_lm.backends.protocol import Backend
from keyboard_lm.device.budget import BUDGET_MS, load_device
from keyboard_lm.device.turn import Turn
from keyboard_lm.evaluation.engine import Bar, word_under_cursor
from keyboard_lm.keyboard.bar import Correction, Request, Slot, Taps
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.suggester import Suggester, SuggesterOptions
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.personal import PersonalStore
from keyboard_lm.text.form import capitalise
from keyboard_lm.touch.layout import load_layout


class KeyboardEngine:
    """An `Engine` over a `Suggester`.

    A slot counts as far as the evaluation's question goes: words that stand for the word under the cursor. Next words
    behind a word that no space has ended are not asked for, and no emoji. A bar of another length is another bar: the
    literal takes a slot.

    Args:
        backend: the network; nobody else may use its cache between two calls of `start_field`.
        tokenizer: the one it was trained with.
        max_slots: the longest bar that will be asked for.
        options: how to answer.
        language: of the words.
        layout: of the keyboard.
        device: whose budget is kept, by estimate.
        budget_ms: for one keystroke on it.
        personal: what was learned from the writer; None for nothing.
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        max_slots: int = 5,
        options: SuggesterOptions | None = None,
        language: str = "en",
        layout: str = "qwerty",
        device: str = "iphone-15",
        budget_ms: float = BUDGET_MS,
        personal: PersonalStore | None = None,
    ) -> None:
        spoken = load_language(language)
        self._capital_words = spoken.editor.capital_words
        asked = replace(options or SuggesterOptions(), num_slots=max_slots, finished_ratio=math.inf, emoji=False)
        self._suggester = Suggester(backend, tokenizer, spoken, load_layout(layout), personal, options=asked)
        self._cost = load_device(device).cost(backend.config)
        self._budget_ms = budget_ms
        self._answers: dict[tuple[str, Taps], tuple[tuple[Slot, ...], Bar]] = {}

    def start_field(self) -> None:
        """Forget everything, so that what comes next does not depend on what came before, to the last bit."""
        self._suggester.forget()
        self._answers.clear()

    def bar(self, text: str, num_slots: int, taps: Taps = ()) -> Bar:
        """Return the words that are offered, what a space would correct, and the ghost text."""
        key = text, tuple(taps)
        known = self._answers.get(key)
        if known is None:
            answer = self._suggester.answer(Request(text, taps), Turn(self._cost, self._budget_ms))
            ghost = answer.ghost.text if answer.ghost is not None else ""
            correction = answer.correction or self._capital(word_under_cursor(text))
            known = answer.slots, Bar((), correction, ghost, answer.num_model_calls)
            self._answers[key] = known
        slots, bar = known
        word = word_under_cursor(text)
        return replace(bar, slots=tuple(slot.text for slot in slots[:num_slots] if slot.replaced == word))

    def _capital(self, word: str) -> Correction | None:
        # What the text field does by itself (see `keyboard_lm.keyboard.editor`).
        return Correction(word, capitalise(word)) if word in self._capital_words else None
