"""The model alone as a keyboard under test."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from keyboard_lm.backends.protocol import Backend
from keyboard_lm.evaluation.engine import Bar, Taps, word_under_cursor
from keyboard_lm.evaluation.predictor import Predictor, PredictorOptions
from keyboard_lm.network.tokenizer import Tokenizer


class PredictorEngine:
    """An `Engine` over a `Predictor`: next words and completions; it corrects nothing and shows no ghost text.

    Inside a word the bar holds completions of it and nothing else: a word that the letters spell is finished by a space
    and not, as in `Predictor`, by being likely. A bar asked for twice in one field is computed once. The first slots of
    a long bar are the short bar. While it is `remembering`, a bar is computed once in all fields of the same text.

    Args:
        backend: the network; nobody else may use its cache between two calls of `start_field`.
        tokenizer: the one it was trained with.
        max_slots: the longest bar that will be asked for.
    """

    def __init__(self, backend: Backend, tokenizer: Tokenizer, max_slots: int = 5) -> None:
        options = PredictorOptions(num_suggestions=max_slots, finished_ratio=math.inf)
        self._predictor = Predictor(backend, tokenizer, options)
        self._bars: dict[str, Bar] = {}
        self._remembers = False

    def start_field(self) -> None:
        """Forget everything, so that what comes next does not depend on what came before, to the last bit."""
        self._predictor.forget()
        if not self._remembers:
            self._bars.clear()

    def may_offer(self, text: str, word: str) -> bool:
        """Return whether a word begins with the letters of the one under the cursor, case apart."""
        return word.casefold().startswith(self._predictor.prefix(text).casefold())

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Keep the bars of all fields meanwhile, and none of those before."""
        self._bars.clear()
        self._remembers = True
        try:
            yield
        finally:
            self._remembers = False
            self._bars.clear()

    def bar(self, text: str, num_slots: int, taps: Taps = ()) -> Bar:
        """Return the words that the model offers; taps are not looked at."""
        if not num_slots:
            return Bar(())
        full = self._bars.get(text)
        if full is None:
            kind = "completion" if word_under_cursor(text) else "next_word"
            found = self._predictor.suggest(text)
            words = tuple(item.text for item in found.items if item.kind == kind)
            full = self._bars[text] = Bar(words, num_model_calls=found.num_model_calls)
        return Bar(full.slots[:num_slots], num_model_calls=full.num_model_calls)
