"""From the text before the cursor to a ranked suggestion bar, by the model alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from keyboard_lm.backends.protocol import Backend
from keyboard_lm.decoding.boundaries import Boundaries, recent
from keyboard_lm.decoding.search import SearchOptions, SearchResult, Word, find_words
from keyboard_lm.device.turn import Turn
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import TypedText, capitalise

Kind = Literal["next_word", "completion"]


@dataclass(frozen=True)
class PredictorOptions:
    """How a predictor answers.

    Attributes:
        num_suggestions: length of the bar.
        finished_ratio: the letters before the cursor count as a finished word, and the bar shows what may follow it,
            when the word they spell is at least this many times as probable as all longer words that begin with them.
            At 1 that is the more probable of the two readings, since everybody who types a word passes through each
            of its beginnings once; it also misread the fewest keystrokes of MacKenzie and Soukoreff's phrases.
        search: how far a search goes.
    """

    num_suggestions: int = 3
    finished_ratio: float = 1.0
    search: SearchOptions = field(default_factory=SearchOptions)


@dataclass(frozen=True)
class Suggestion:
    """One entry of the bar.

    Attributes:
        text: the word as it would be inserted.
        kind: whether it follows the text or completes its last word.
        probability: for a next word, that the next token of the text is this word, given the text (punctuation and
            the end of the message have their share too, so the words do not sum to 1). For a completion, that the word
            under the cursor is this word, given the text before it and that it begins with the letters typed. Case
            variants count as one word; see `keyboard_lm.decoding.search.Word`.
    """

    text: str
    kind: Kind
    probability: float


@dataclass(frozen=True)
class Timings:
    """Where the time of one answer went."""

    tokenize_ms: float
    forward_ms: float
    search_ms: float


@dataclass(frozen=True)
class Suggestions:
    """A bar: the most probable suggestion first; empty only if the model knows no word at all."""

    items: tuple[Suggestion, ...]
    timings: Timings
    num_model_calls: int = 0


class Predictor:
    """Suggests words for a text; keeps what the network has computed from one call to the next.

    Args:
        backend: the network; nobody else may use its cache.
        tokenizer: the one it was trained with.
        options: how to answer.
        clock: seconds that only go forward.

    Raises:
        ConfigError: the KV cache is too small for a context and a search tree.
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        options: PredictorOptions | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.options = options or PredictorOptions()
        self._tokenizer = tokenizer
        self._clock = clock
        self._boundaries = Boundaries(backend, tokenizer, self.options.search.max_nodes)

    def forget(self) -> None:
        """Drop what the network has computed for earlier texts."""
        self._boundaries.cache.forget()

    def prefix(self, text: str) -> str:
        """Return the letters of the word under the cursor, which its completions begin with; ``""`` between words."""
        return self._tokenizer.form.split_typed(recent(text)).partial

    def suggest(self, text: str) -> Suggestions:
        """Return the bar for the text before the cursor.

        Inside a word the bar completes it, unless the letters are more likely a whole word already (see
        `PredictorOptions.finished_ratio`) or begin no word the search can find: then, and between words, it holds next
        words.
        """
        turn = Turn(clock=self._clock)
        begun = self._clock()
        text = recent(text)
        typed = self._tokenizer.form.split_typed(text)
        self._boundaries.ids(typed)
        tokenize_ms = (self._clock() - begun) * 1000
        items: tuple[Suggestion, ...] = ()
        if typed.partial:
            items = self._completions(typed, turn)
        if not items:
            if typed.partial:
                again = self._clock()
                typed = self._tokenizer.form.split_typed(text + " ")
                self._boundaries.ids(typed)
                tokenize_ms += (self._clock() - again) * 1000
            items = self._next_words(typed, turn)
        total_ms = (self._clock() - begun) * 1000
        timings = Timings(tokenize_ms, turn.forward_ms, total_ms - tokenize_ms - turn.forward_ms)
        return Suggestions(items, timings, turn.num_calls)

    def _completions(self, typed: TypedText, turn: Turn) -> tuple[Suggestion, ...]:
        """Return completions of the word under the cursor; none if it is finished or unknown."""
        prefix = typed.partial
        if typed.starts_sentence:
            prefix = fold(prefix[0]) + prefix[1:]  # the keyboard put that capital there
        # One more is looked for: the typed word itself may be among them and is not shown.
        num_words = self.options.num_suggestions + 1
        boundary = self._boundaries.at(typed, turn)
        result = find_words(self._boundaries.table, boundary, prefix, num_words, self.options.search)
        if self._is_finished(result):
            return ()
        shown = ((_as_typed(word, typed.partial), word) for word in result.words)
        items = [
            Suggestion(text, "completion", min(1.0, word.probability / result.prefix_probability))
            for text, word in shown
            if text != typed.partial
        ]
        return tuple(items[: self.options.num_suggestions])

    def _is_finished(self, result: SearchResult) -> bool:
        longer = result.prefix_probability - result.typed_probability
        return result.typed_probability > 0 and result.typed_probability >= self.options.finished_ratio * longer

    def _next_words(self, typed: TypedText, turn: Turn) -> tuple[Suggestion, ...]:
        boundary = self._boundaries.at(typed, turn)
        result = find_words(self._boundaries.table, boundary, "", self.options.num_suggestions, self.options.search)
        return tuple(
            Suggestion(capitalise(word.text) if typed.starts_sentence else word.text, "next_word", word.probability)
            for word in result.words
        )


def _as_typed(word: Word, typed: str) -> str:
    """Return a completion with the capitals that were typed: the first letter's, or all of them."""
    if sum(map(str.isalpha, typed)) > 1 and typed.isupper():
        return word.text.upper()
    return capitalise(word.text) if typed[0].isupper() else word.text
