"""The suggestion bar: next words, completions, corrections, emoji and ghost text in one answer to one keystroke."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

from keyboard_lm.backends.protocol import Backend
from keyboard_lm.correction.candidates import CandidateSearch
from keyboard_lm.correction.corrector import Corrector, CorrectorOptions, Verdict
from keyboard_lm.correction.mistyped_prefixes import mistyped_completions
from keyboard_lm.decoding.boundaries import Boundaries, recent
from keyboard_lm.decoding.context import Boundary
from keyboard_lm.decoding.inline import InlineOptions, continuation
from keyboard_lm.decoding.next_letters import next_letters
from keyboard_lm.decoding.search import SearchOptions, SearchResult, find_words
from keyboard_lm.decoding.word_boundary import Path
from keyboard_lm.decoding.word_scores import WordScorer
from keyboard_lm.device.budget import Budget
from keyboard_lm.keyboard.bar import Answer, Correction, Ghost, Kind, Request, Slot, Stage
from keyboard_lm.keyboard.language import Language
from keyboard_lm.keyboard.own_words import OwnWords
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.personal.store import PersonalStore, PersonalView
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import TypedText, capitalise
from keyboard_lm.touch.channel import Channel
from keyboard_lm.touch.layout import Layout
from keyboard_lm.words.frequent_words import frequent_words
from keyboard_lm.words.lexicon import MAX_FREQUENCY

_MAX_REMEMBERED = 16_384  # words that have been looked up among the offensive ones


@dataclass(frozen=True)
class SuggesterOptions:
    """How the bar is made.

    Attributes:
        num_slots: length of the bar.
        finished_ratio: next words are offered behind a word that no space has ended yet where what is typed is this
            many times as probable as all longer words that begin with it.
        least_share: a correction waits for a space only where what it would put in has at least this share of all that
            may have been meant, longer words included. Somebody who types ``mo`` on the way to ``money`` is spared both
            the correction to ``to`` and the slot that the literal would take; so is who writes ``lor`` and means it.
            Capitals and apostrophes alone are put in all the same. 0.1 to 0.3 make little difference; against 0, at 0.2
            Singapore's text messages have half as many words rewritten, and one typing error in fifty stays that would
            have been mended.
        num_mistyped: as many other beginnings that may have been meant by the letters are completed, too.
        search: how far the search for words goes (its `num_words` is set by `num_slots`).
        corrector: when to correct.
        inline: when to show ghost text; None for never.
        emoji: whether an emoji may take the last slot.
    """

    num_slots: int = 3
    finished_ratio: float = 2.0
    least_share: float = 0.2
    num_mistyped: int = 6
    search: SearchOptions = field(default_factory=SearchOptions)
    corrector: CorrectorOptions = field(default_factory=CorrectorOptions)
    inline: InlineOptions | None = field(default_factory=InlineOptions)
    emoji: bool = True


class _Entry(NamedTuple):
    """A word on its way to a slot; of case variants the best."""

    text: str
    kind: Kind
    log_joint: float
    replaced: str


class _Ranking:
    """Words by folded text; those of the same letters are one."""

    def __init__(self) -> None:
        self.entries: dict[str, _Entry] = {}

    def add(self, text: str, kind: Kind, log_joint: float, replaced: str) -> None:
        key = fold(text)
        known = self.entries.get(key)
        if known is None or log_joint > known.log_joint:
            self.entries[key] = _Entry(text, kind, log_joint, replaced)

    def best(self) -> list[_Entry]:
        return sorted(self.entries.values(), key=lambda entry: (-entry.log_joint, entry.text))


class Suggester:
    """Answers keystrokes; the field itself is somebody else's (see `keyboard_lm.keyboard.session`).

    An answer depends on the request, on what has been learned, on how many calls the budget allowed, and on whether the
    word before the last was asked about when it was the last.

    Args:
        backend: the network; nobody else may use its cache.
        tokenizer: the one it was trained with.
        language: what is typed.
        layout: the keyboard it is typed on.
        personal: what was learned from the writer; None for nothing.
        options: how to answer.
        is_offensive: words that are never offered; None for those the lexicon marks.
        clock: seconds that only go forward.

    Attributes:
        is_offensive: says which words are never offered.

    Raises:
        ConfigError: the KV cache is too small for a context and a tree.
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        language: Language,
        layout: Layout,
        personal: PersonalStore | None = None,
        options: SuggesterOptions | None = None,
        is_offensive: Callable[[str], bool] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.options = options or SuggesterOptions()
        self.language = language
        self._form = tokenizer.form
        self._personal = personal
        self.is_offensive = lru_cache(maxsize=_MAX_REMEMBERED)(is_offensive or language.lexicon.is_offensive)
        self._is_unfit = lru_cache(maxsize=_MAX_REMEMBERED)(self._has_offensive)
        self._clock = clock
        # One more than is shown: the typed word itself may be among them.
        self._search = replace(self.options.search, num_words=self.options.num_slots + 1)
        self._boundaries = Boundaries(backend, tokenizer, self._search.max_nodes, clock)
        self._scorer = WordScorer(tokenizer, self._search.max_nodes)
        channel = Channel(layout, language.lexicon.alphabet, language.channel)
        self._candidates = CandidateSearch(language.lexicon, channel)
        self._own_words = OwnWords(personal, language, layout) if personal is not None else None
        self._corrector = Corrector(
            self._candidates, tokenizer, self._boundaries.at_once, self.options.corrector, self._is_protected,
            self._search.max_nodes,
        )  # fmt: skip

    @property
    def num_model_calls(self) -> int:
        """Calls of the network since construction."""
        return self._boundaries.cache.num_calls

    def forget(self) -> None:
        """Drop what the network has computed for earlier texts."""
        self._boundaries.cache.forget()
        self._corrector.forget()

    def answer(self, request: Request, budget: Budget | None = None) -> Answer:
        """Return the bar for a request.

        Args:
            request: the field.
            budget: of this answer; None for as many calls as it takes. What it does not allow is left out: first
                branches of the word search, then all of them, then a new distribution, and with it the model.
        """
        if self._personal is None:
            return self._answer(request, budget)
        with self._personal.held():
            return self._answer(request, budget)

    def _answer(self, request: Request, budget: Budget | None) -> Answer:
        begun = self._clock()
        cache = self._boundaries.cache
        calls_before = cache.num_calls
        typed = self._form.split_typed(recent(request.text))
        cache.may_call = budget.may_call if budget is not None else None
        try:
            boundary = self._boundaries.at_once(typed)
            num_fed = cache.num_calls - calls_before
            view = self._personal.view(typed.messages[-1]) if self._personal is not None else None
            make = self._in_word if typed.partial else self._between_words
            made = make(request, typed, boundary, view)
        finally:
            cache.may_call = None
        num_calls = cache.num_calls - calls_before
        return replace(
            made,
            stage=_stage(budget, boundary, num_fed, num_calls),
            num_model_calls=num_calls,
            device_ms=budget.spent_ms if budget is not None else 0.0,
            host_ms=(self._clock() - begun) * 1000,
            revision=request.revision,
        )

    def next_letters(self, request: Request) -> dict[str, float]:
        """Return how probable each letter is to be typed next (see `keyboard_lm.decoding.next_letters`).

        The network is not asked: where it has not been asked for an answer yet, there is none.
        """
        typed = self._form.split_typed(recent(request.text))
        cache = self._boundaries.cache
        cache.may_call = lambda _num_tokens: False
        try:
            boundary = self._boundaries.at_once(typed)
        finally:
            cache.may_call = None
        return {} if boundary is None else next_letters(self._boundaries.table, boundary, typed.partial)

    def _has_offensive(self, words: str) -> bool:
        return any(map(self.is_offensive, words.split()))

    def _fit(self, ranking: _Ranking) -> list[_Entry]:
        # Checked once more as they are cased for the bar: a word in capitals may be another.
        return [entry for entry in ranking.best() if not self._is_unfit(entry.text)]

    def _is_protected(self, word: str) -> bool:
        store = self._personal
        if store is None:
            return False
        return store.is_protected(word) or (store.is_known(word) and not self.language.lexicon.known(word))

    # Between words

    def _between_words(
        self, request: Request, typed: TypedText, boundary: Boundary | None, view: PersonalView | None
    ) -> Answer:
        ranking = _Ranking()
        words = self._next_words(boundary, view)
        for text, probability in words:
            ranking.add(self._as_next(text, typed, request), "next_word", _log(probability), "")
        slots = [Slot(entry.text, entry.kind, math.exp(entry.log_joint), "") for entry in self._fit(ranking)]
        ghost = None
        if boundary is not None and words:
            text, probability = max(words, key=lambda item: item[1])
            ghost = self._ghost(boundary, text, self._as_next(text, typed, request), probability)
        return Answer(tuple(slots[: self.options.num_slots]), ghost=ghost)

    def _next_words(self, boundary: Boundary | None, view: PersonalView | None) -> list[tuple[str, float]]:
        words: list[tuple[str, float]] = []
        if boundary is not None:
            found = find_words(self._boundaries.table, boundary, "", self._search).words
            words = [(word.text, word.probability) for word in found]
        words = list(self._mixed(words, "", boundary, view))
        return words or [(text, self._frequency(frequency)) for text, frequency in self._frequent("")]

    def _mixed(
        self, words: Sequence[tuple[str, float]], prefix: str, boundary: Boundary | None, view: PersonalView | None
    ) -> Iterator[tuple[str, float]]:
        """Yield the model's words and the writer's own, each with its probability; no offensive ones."""
        keys = {fold(text) for text, _ in words}
        for text, probability in words:
            if not self.is_offensive(text):
                yield text, view.mix(probability, text) if view is not None else probability
        if view is None:
            return
        own = [text for text in view.candidates(prefix, self.options.num_slots + 1) if fold(text) not in keys]
        own = [text for text in own if not self.is_offensive(text)]
        known = [0.0] * len(own)
        if boundary is not None and own:
            scores = self._scorer.look(boundary, [(text,) for text in own])
            known = [score.probability if score.is_exact else 0.0 for score in scores]
        for text, probability in zip(own, known, strict=True):
            yield text, view.mix(probability, text)

    def _frequent(self, prefix: str) -> list[tuple[str, int]]:
        found = frequent_words(self.language.lexicon, prefix, self.options.num_slots + 1)
        return [(text, frequency) for text, frequency in found if not self.is_offensive(text)]

    def _frequency(self, frequency: int) -> float:
        nats = (frequency - MAX_FREQUENCY) * self._candidates.options.nats_per_step
        return self.options.corrector.frequency_mix * math.exp(nats)

    @staticmethod
    def _as_next(text: str, typed: TypedText, request: Request) -> str:
        if request.shift == "lock":
            return text.upper()
        is_capital = typed.starts_sentence if request.shift is None else request.shift == "on"
        return capitalise(text) if is_capital else text

    # In a word

    def _in_word(
        self, request: Request, typed: TypedText, boundary: Boundary | None, view: PersonalView | None
    ) -> Answer:
        word = typed.partial
        prefix = fold(word[0]) + word[1:] if typed.starts_sentence else word
        result = None if boundary is None else find_words(self._boundaries.table, boundary, prefix, self._search)
        found = [] if result is None else [(each.text, each.probability) for each in result.words]
        ranking = _Ranking()
        for text, probability in self._mixed(found, prefix, boundary, view):
            ranking.add(_as_typed(text, word), "completion", _log(probability), word)
        folded = fold(word)
        ranking.entries.pop(folded, None)
        if len(ranking.entries) < self.options.num_slots:
            for text, frequency in self._frequent(word):
                if fold(text) != folded:
                    ranking.add(_as_typed(text, word), "completion", _log(self._frequency(frequency)), word)
        # The corrector reads the word off the end of the text, which may be written with other signs ("’").
        verdict = Verdict()
        if request.text.endswith(word):
            verdict = self._corrector.judge(
                recent(request.text),
                request.taps,
                view.mix if view is not None else None,
                self._own_words.find if self._own_words is not None else None,
                typed,
            )
        if boundary is not None:
            self._add_mistyped(ranking, request, prefix, word, boundary, view)
        literal_log = -math.inf
        may_be_replaced = (word, verdict.correction.replaced if verdict.correction is not None else word)
        for replaced, text, log_joint, *_ in verdict.hypotheses:
            if text == replaced:
                literal_log = log_joint
            elif replaced in may_be_replaced and not self._is_unfit(text):
                kind: Kind = "completion" if _continues(text, folded) else "correction"
                ranking.add(text, kind, log_joint, replaced)
        entries = self._fit(ranking)
        total = math.fsum(math.exp(entry.log_joint) for entry in entries) + math.exp(literal_log)
        correction = self._correction(request, verdict, word, total)
        slots = self._arranged(entries, total, correction, word, literal_log)
        if correction is not None or result is None or boundary is None:
            return Answer(tuple(slots), correction)
        slots, ghost = self._ahead(slots, word, typed, boundary, result, view)
        return Answer(tuple(slots), ghost=ghost)

    def _add_mistyped(
        self,
        ranking: _Ranking,
        request: Request,
        prefix: str,
        word: str,
        boundary: Boundary,
        view: PersonalView | None,
    ) -> None:
        """Add words whose beginning may have been meant by what was typed."""
        num = self.options.num_mistyped
        taps = tuple(request.taps[-len(word) :]) if len(request.taps) >= len(word) else ()
        if not num or not word.isalpha():
            return
        found = mistyped_completions(self._candidates, self._boundaries.table, boundary, prefix, taps, num)
        for text, probability, log_likelihood in found:
            if self.is_offensive(text):
                continue
            probability = view.mix(probability, text) if view is not None else probability
            ranking.add(_as_typed(text, word), "correction", _log(probability) + log_likelihood, word)

    def _correction(self, request: Request, verdict: Verdict, word: str, total: float) -> Correction | None:
        best = verdict.correction
        if best is None or not request.may_correct or self._is_unfit(best.text):
            return None
        is_spelling_kept = _letters(best.text) == _letters(best.replaced)
        share = math.exp(best.log_joint) / total if total else 1.0
        if best.replaced == word and not is_spelling_kept and share < self.options.least_share:
            return None
        if self._personal is not None and self._personal.is_blocked(best.replaced, best.text):
            return None
        return Correction(best.replaced, best.text)

    def _arranged(
        self, entries: Sequence[_Entry], total: float, correction: Correction | None, word: str, literal_log: float
    ) -> list[Slot]:
        """Return the bar, best first.

        What a space would put in is among the first two, and what it would replace among the first three: a bar of
        fewer leaves that to backspace.
        """

        def share(log_joint: float) -> float:
            return math.exp(log_joint) / total if total else 0.0

        num_slots = self.options.num_slots
        key = fold(correction.text) if correction is not None else None
        same = 0.0
        others: list[Slot] = []
        for text, kind, log_joint, replaced in entries:
            if fold(text) == key:
                same = share(log_joint)
            elif len(others) < num_slots:
                others.append(Slot(text, kind, share(log_joint), replaced))
            elif key is None:
                break
        if correction is None:
            return others
        first = Slot(correction.text, "correction", same, correction.replaced)
        literal = Slot(word, "literal", share(literal_log), word)
        ahead = [slot for slot in others[:1] if slot.probability > first.probability]
        behind = others[len(ahead) : 1]
        rest = others[1:]
        return [*ahead, first, *behind, literal, *rest][:num_slots]

    def _ahead(
        self,
        slots: list[Slot],
        word: str,
        typed: TypedText,
        boundary: Boundary,
        result: SearchResult,
        view: PersonalView | None,
    ) -> tuple[list[Slot], Ghost | None]:
        """Add what may come after the word under the cursor, where that is likely finished, and the ghost text."""
        total = result.prefix_probability
        if not total:
            return slots, None
        finished = min(1.0, result.typed_probability / total)
        is_finished = finished > 0 and finished >= self.options.finished_ratio * (1 - finished)
        ghost = None
        if is_finished:
            path = self._path(fold(word) if typed.starts_sentence else word)
            found = continuation(self._boundaries.table, boundary, path, self._search.max_nodes, self._search.num_words)
            following = [(text, finished * share) for text, share in found or () if not self.is_offensive(text)]
            keys = {fold(text) for text, _ in following}
            slots = [slot for slot in slots if fold(slot.text) not in keys]
            slots += [Slot(text, "next_word", share) for text, share in following]
            slots = sorted(slots, key=lambda slot: -slot.probability)[: self.options.num_slots]
            if following:
                ghost = self._ghost(boundary, following[0][0], f" {following[0][0]}", following[0][1], path)
            slots = self._with_emoji(slots, word)
        elif slots and (first := slots[0]).text.startswith(word) and first.kind == "completion":
            ghost_text = first.text[len(word) :]
            mass = next((each.probability for each in result.words if fold(each.text) == fold(first.text)), 0.0)
            written = next((each.text for each in result.words if fold(each.text) == fold(first.text)), first.text)
            ghost = self._ghost(boundary, written, ghost_text, min(1.0, mass / total))
        return slots, ghost

    def _with_emoji(self, slots: list[Slot], word: str) -> list[Slot]:
        is_wanted = self.options.emoji and self.options.num_slots > 2 and not self.is_offensive(word)
        found = self.language.emoji.find(word) if is_wanted else ()
        kept = slots[: self.options.num_slots - len(found)]
        return [*kept, *(Slot(emoji, "emoji", 0.0, word) for emoji in found)]

    def _path(self, *words: str) -> Path:
        return self._scorer.path(words)

    def _ghost(
        self, boundary: Boundary, written: str, text: str, probability: float, before: Path = ()
    ) -> Ghost | None:
        """Return a first word and as many after it as are likely enough together; None where it is not.

        Args:
            boundary: where the word under the cursor begins.
            written: the first word as the model has it.
            text: as it would stand behind the cursor.
            probability: of it.
            before: pieces between the boundary and the first word.
        """
        options = self.options.inline
        if options is None or probability < options.threshold:
            return None
        path = before + self._path(written)
        num_words = 1
        while num_words < options.max_words:
            least = options.threshold / probability
            found = continuation(self._boundaries.table, boundary, path, self._search.max_nodes, least=0.99 * least)
            if not found or probability * found[0][1] < options.threshold or self.is_offensive(found[0][0]):
                break
            word, share = found[0]
            text, probability, path = f"{text} {word}", probability * share, path + self._path(word)
            num_words += 1
        return Ghost(text, probability) if len(text) >= options.min_chars else None


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else -math.inf


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, fold(text)))


def _continues(text: str, folded: str) -> bool:
    return len(text) > len(folded) and fold(text).startswith(folded) and " " not in text


def _as_typed(text: str, typed: str) -> str:
    """Return a word with the capitals that were typed: the first letter's, or all of them."""
    if typed.isupper() and sum(map(str.isalpha, typed)) > 1:  # not "I'"
        return text.upper()
    return capitalise(text) if typed[0].isupper() else text


def _stage(budget: Budget | None, boundary: Boundary | None, num_fed: int, num_calls: int) -> Stage:
    if boundary is None:
        return "personal_and_lexicon"
    if budget is None or not budget.was_refused:
        return "full"
    if num_calls > num_fed:
        return "fewer_branches"
    return "no_branches" if num_fed else "cached"
