"""The model with autocorrection as a keyboard under test."""

from __future__ import annotations

import math
from collections.abc import Iterable

from keyboard_lm.backends.protocol import Backend
from keyboard_lm.candidates import CandidateSearch
from keyboard_lm.channel import Channel, load_channel_parameters
from keyboard_lm.context import Boundary
from keyboard_lm.corrector import Corrector, CorrectorOptions, Verdict
from keyboard_lm.evaluation.engine import Bar, Correction, Taps
from keyboard_lm.layout import load_layout
from keyboard_lm.lexicon import load_lexicon
from keyboard_lm.pieces import fold
from keyboard_lm.predictor import Predictor, PredictorOptions
from keyboard_lm.search import SearchOptions, find_words
from keyboard_lm.text import TypedText, capitalise
from keyboard_lm.tokenizer import Tokenizer

_LAST_PLACE = 2  # where what a space would put in is shown at the latest: a phone's bar has three slots


class _OpenPredictor(Predictor):
    """A predictor that lets a corrector share its cache."""

    def boundary(self, typed: TypedText) -> Boundary:
        return self._cache.at(self._context(typed))


class CorrectingEngine:
    """An `Engine` over a `Predictor` and a `Corrector`; it shows no ghost text.

    Between words the bar holds next words. Inside a word it holds completions and corrections, by the probability of
    the word in the context times that of the letters, or taps, if it was meant. The first slots of a long bar are the
    short bar.

    Args:
        backend: the network; nobody else may use its cache between two calls of `start_field`.
        tokenizer: the one it was trained with.
        max_slots: the longest bar that will be asked for.
        options: when to correct.
        language: of lexicon and channel.
        layout: of the keyboard.
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        max_slots: int = 5,
        options: CorrectorOptions | None = None,
        language: str = "en",
        layout: str = "qwerty",
    ) -> None:
        self._predictor = _OpenPredictor(backend, tokenizer, PredictorOptions(max_slots, finished_ratio=math.inf))
        self._form = tokenizer.form
        self._max_slots = max_slots
        self._search = SearchOptions(num_words=max_slots + 1)
        self._lexicon = load_lexicon(language)
        channel = Channel(load_layout(layout), self._lexicon.alphabet, load_channel_parameters(language))
        self.corrector = Corrector(
            CandidateSearch(self._lexicon, channel), tokenizer, self._predictor.boundary, options,
            max_nodes=self._search.max_nodes,
        )  # fmt: skip
        self._bars: dict[tuple[str, Taps], Bar] = {}

    def start_field(self) -> None:
        """Forget everything, so that what comes next does not depend on what came before, to the last bit."""
        self._predictor.forget()
        self._bars.clear()

    def bar(self, text: str, num_slots: int, taps: Taps = ()) -> Bar:
        """Return the words that are offered, and what a space would correct."""
        key = text, tuple(taps)
        full = self._bars.get(key)
        if full is None:
            calls = self._predictor.num_model_calls
            typed = self._form.split_typed(text)
            full = self._in_word(text, typed, taps) if typed.partial else self._between_words(text)
            full = Bar(full.slots, full.correction, num_model_calls=self._predictor.num_model_calls - calls)
            self._bars[key] = full
        return Bar(full.slots[:num_slots], full.correction, num_model_calls=full.num_model_calls)

    def _between_words(self, text: str) -> Bar:
        return Bar(tuple(item.text for item in self._predictor.suggest(text).items))

    def _in_word(self, text: str, typed: TypedText, taps: Taps) -> Bar:
        verdict = self.corrector.judge(text, taps)
        scores = dict(self._completions(typed))
        for hypothesis in verdict.hypotheses:
            if hypothesis.replaced == typed.partial and not hypothesis.is_literal:
                scores[hypothesis.text] = max(hypothesis.log_joint, scores.get(hypothesis.text, -math.inf))
        slots = sorted(scores, key=lambda word: (-scores[word], word))
        correction = _correction(verdict)
        if correction is not None and correction.text in slots[_LAST_PLACE + 1 :]:
            slots.remove(correction.text)
            slots.insert(_LAST_PLACE, correction.text)
        return Bar(tuple(slots[: self._max_slots]), correction)

    def _completions(self, typed: TypedText) -> Iterable[tuple[str, float]]:
        word = typed.partial
        prefix = fold(word[0]) + word[1:] if typed.starts_sentence else word
        result = find_words(self._predictor.table, self._predictor.boundary(typed), prefix, self._search)
        for found in result.words:
            text = capitalise(found.text) if word[0].isupper() else found.text
            if len(word) > 1 and word.isupper():
                text = text.upper()
            if text != word and not self._lexicon.is_offensive(text):
                yield text, math.log(found.probability)


def _correction(verdict: Verdict) -> Correction | None:
    best = verdict.correction
    return None if best is None else Correction(best.replaced, best.text)
