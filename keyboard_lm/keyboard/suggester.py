"""The suggestion bar: offers of all sources, through one door, ranked and arranged in answer to one keystroke."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from keyboard_lm.backends.protocol import Backend
from keyboard_lm.correction.candidates import CandidateMemory, CandidateOptions, CandidateSearch
from keyboard_lm.correction.corrector import Corrector
from keyboard_lm.correction.hypotheses import Verdict
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.correction.reader import Reader
from keyboard_lm.decoding.boundaries import Boundaries, recent
from keyboard_lm.decoding.context import KnownBudget
from keyboard_lm.decoding.inline import InlineOptions
from keyboard_lm.decoding.next_letters import next_letters
from keyboard_lm.decoding.pieces import PieceTable
from keyboard_lm.decoding.search import SearchOptions, find_words
from keyboard_lm.decoding.word_scores import WordScorer
from keyboard_lm.device.turn import Turn, no_calls
from keyboard_lm.keyboard.ahead import Ahead
from keyboard_lm.keyboard.arrangement import (
    LEAST_SHARE,
    is_among,
    slots_of,
    with_correction,
    with_last,
    with_unlikely_correction,
)
from keyboard_lm.keyboard.bar import Answer, Correction, Ghost, Request, Slot, Stage
from keyboard_lm.keyboard.language import Language
from keyboard_lm.keyboard.meant import MeantSources
from keyboard_lm.keyboard.offers import Offer
from keyboard_lm.keyboard.own_words import OwnWords
from keyboard_lm.keyboard.place import Place
from keyboard_lm.keyboard.ranking import OfferFilter, Ranking, Refusal
from keyboard_lm.keyboard.sources import WordSources
from keyboard_lm.keyboard.swiped import LateDecoder, SwipeSource
from keyboard_lm.keyboard.why import Explained, explained
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.personal.store import PersonalStore
from keyboard_lm.text.form import TextForm
from keyboard_lm.touch.channel import Channel
from keyboard_lm.touch.layout import Layout
from keyboard_lm.words.known_words import KnownWords

if TYPE_CHECKING:  # loaded at the first path
    from keyboard_lm.swipe.decoder import SwipeFinder, SwipeOptions


@dataclass(frozen=True)
class SuggesterOptions:
    """How the bar is made.

    Attributes:
        num_slots: length of the bar.
        finished_ratio: next words are offered behind a word that no space has ended yet where what is typed is this
            many times as probable as all longer words that begin with it.
        least_share: the literal takes a slot, and what a space would put in its place the one beside, only where that
            has at least this share of all that may have been meant, longer words included: who types ``mo`` on the way
            to ``money`` sees completions.
        num_mistyped: as many other beginnings that may have been meant by the letters are completed, too.
        search: how far the search for words goes.
        candidates: how far the search for words that may have been meant goes.
        corrector: when to correct.
        inline: when to show ghost text; None for never.
        emoji: whether an emoji may take the last slot.
        swipe: how paths are read; None for the defaults.
    """

    num_slots: int = 3
    finished_ratio: float = 2.0
    least_share: float = 0.2
    num_mistyped: int = 6
    search: SearchOptions = field(default_factory=SearchOptions)
    candidates: CandidateOptions = field(default_factory=CandidateOptions)
    corrector: CorrectorOptions = field(default_factory=CorrectorOptions)
    inline: InlineOptions | None = field(default_factory=InlineOptions)
    emoji: bool = True
    swipe: SwipeOptions | None = None


class _Made(NamedTuple):
    """What of an answer the bar is; the rest is how it came about."""

    slots: tuple[Slot, ...]
    correction: Correction | None = None
    ghost: Ghost | None = None


@dataclass(frozen=True)
class SuggesterParts:
    """What suggesters of one tokenizer, language, layout and options can share: tables and memos, nothing of a field.

    Attributes:
        table: of the tokenizer's pieces.
        scorer: of words.
        candidates: finds what may have been meant.
        corrector: what each suggester's own is made from.
        offer_filter: what is never offered.
        swipes: finds what a path may have meant.
        known_words: what is a word, whoever writes.
    """

    table: PieceTable
    scorer: WordScorer
    candidates: CandidateSearch
    corrector: Corrector
    offer_filter: OfferFilter
    swipes: SwipeFinder
    known_words: KnownWords

    @classmethod
    def make(
        cls,
        tokenizer: Tokenizer,
        language: Language,
        layout: Layout,
        options: SuggesterOptions,
        is_offensive: Callable[[str], bool] | None = None,
        memory: CandidateMemory | None = None,
    ) -> SuggesterParts:
        """Make them; `memory` is what is remembered of letters being typed, by all together."""
        max_nodes = options.search.max_nodes
        channel = Channel(layout, language.lexicon.alphabet, language.channel)
        candidates = CandidateSearch(language.lexicon, channel, options.candidates, memory)
        known_words = language.known_words()
        return cls(
            PieceTable(tokenizer),
            WordScorer(tokenizer, max_nodes),
            candidates,
            Corrector(
                candidates, tokenizer, options.corrector, max_nodes=max_nodes, words=known_words, gate=language.gate
            ),
            OfferFilter(
                is_offensive or language.lexicon.is_offensive,
                lambda offer: not known_words.may_offer(offer.text),
                known_words.may_offer_to_all,
            ),
            LateDecoder(language.lexicon, layout, options.swipe),
            known_words,
        )


class Suggester:
    """Answers keystrokes; the field itself is somebody else's (see `keyboard_lm.keyboard.session`).

    An answer depends on the request, on what has been learned, on how many calls the turn allowed, and on whether the
    word before the last was asked about when it was the last.

    Args:
        backend: the network; nobody else may use its cache.
        tokenizer: the one it was trained with.
        language: what is typed.
        layout: the keyboard it is typed on.
        personal: what was learned from the writer; None for nothing.
        options: how to answer.
        is_offensive: words that are never offered; None for those the lexicon marks.
        parts: made already for the same tokenizer, language, layout, options and words; None for new ones.
        budget: of what the caches of several suggesters remember together; None for no bound but each one's own.

    Attributes:
        options: as given.
        language: as given.
        layout: as given.
        form: the text form of what is typed, for whoever learns from it.
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
        parts: SuggesterParts | None = None,
        budget: KnownBudget | None = None,
    ) -> None:
        self.options = options = options or SuggesterOptions()
        self.language = language
        self.layout = layout
        self.form: TextForm = tokenizer.form
        self._personal = personal
        parts = parts or SuggesterParts.make(tokenizer, language, layout, options, is_offensive)
        known_words = parts.known_words.another(personal.is_known) if personal is not None else parts.known_words
        self._known_words = known_words
        self._filter = parts.offer_filter.another(lambda offer: not known_words.may_offer(offer.text))
        self.is_offensive = self._filter.is_offensive
        # One more than is shown: the typed word itself may be among them.
        self._num_words = num_words = options.num_slots + 1
        max_nodes = options.search.max_nodes
        reader = Reader(parts.candidates, known_words)
        self._boundaries = Boundaries(backend, tokenizer, max_nodes, parts.table, budget, reader.read)
        scorer, candidates = parts.scorer, parts.candidates
        self._corrector = parts.corrector.another(_protection(personal, language.lexicon.known))
        self._words = WordSources(
            scorer, language, num_words, options.corrector.frequency_mix, options.candidates.nats_per_step, known_words
        )
        own_words = OwnWords(personal, language, layout) if personal is not None else None
        self._swiped = SwipeSource(
            parts.swipes,
            own_words.swiped if own_words is not None else None,
            scorer, self.form, options.corrector.frequency_mix,
        )  # fmt: skip
        self._meant = MeantSources(
            self._corrector, candidates, self._boundaries, own_words, personal, options.num_mistyped,
            options.least_share,
        )  # fmt: skip
        is_offensive = self.is_offensive
        self._ahead = Ahead(
            self._boundaries.table, scorer, lambda word: is_offensive(word) or not known_words.may_offer(word),
            max_nodes, num_words, options.finished_ratio, options.inline,
        )  # fmt: skip

    def forget(self) -> None:
        """Drop what the network has computed for earlier texts."""
        self._boundaries.cache.forget()
        self._corrector.forget()

    def answer(self, request: Request, turn: Turn | None = None) -> Answer:
        """Return the bar for a request.

        Args:
            request: the field.
            turn: of this answer; None for as many calls as it takes. What it does not allow is left out: first branches
                of the word search, then all of them, then a new distribution, and with it the model.

        Raises:
            PathError: no finger can have drawn the request's path.
        """
        return self._answer(request, turn or Turn(), None)[0]

    def explain(self, request: Request, turn: Turn | None = None) -> tuple[Explained, ...]:
        """Return every offer that there was for the bar of a request, those worth most first."""
        refused: list[tuple[Offer, Refusal]] = []
        answer, taken = self._answer(request, turn or Turn(), refused)
        return explained(answer, taken, refused)

    def next_letters(self, request: Request) -> dict[str, float]:
        """Return how probable each letter is to be typed next (see `keyboard_lm.decoding.next_letters`).

        The network is not asked: where it has not been asked for an answer yet, there is none.
        """
        typed = self.form.split_typed(recent(request.text))
        boundary = self._boundaries.at_once(typed, no_calls())
        return {} if boundary is None else next_letters(self._boundaries.table, boundary, typed.partial)

    def _answer(
        self, request: Request, turn: Turn, refused: list[tuple[Offer, Refusal]] | None
    ) -> tuple[Answer, list[Offer]]:
        begun = turn.clock()
        with self._personal.held() if self._personal is not None else nullcontext():
            typed = self.form.split_typed(recent(request.text))
            if request.path and typed.partial:
                typed = self.form.split_typed(recent(request.text) + " ")  # a swiped word is always another
            boundary = self._boundaries.at_once(typed, turn)
            num_fed = turn.num_calls
            view = self._personal.view(typed.messages[-1]) if self._personal is not None else None
            place = Place(request, typed, turn, boundary, view)
            ranking = Ranking(self._filter, view, refused)
            make = self._by_path if request.path else self._in_word if place.word else self._between_words
            made, taken = make(place, ranking)
        stage = _stage(turn, boundary is not None, num_fed)
        host_ms = (turn.clock() - begun) * 1000
        return Answer(*made, stage, turn.num_calls, turn.spent_ms, host_ms, request.revision), taken

    def _between_words(self, place: Place, ranking: Ranking) -> tuple[_Made, list[Offer]]:
        result = None
        if place.boundary is not None:
            result = find_words(self._boundaries.table, place.boundary, "", self._num_words, self.options.search)
        ranking.add(self._words.network(place, result))
        ranking.add(self._words.own(place, result.words if result is not None else ()))
        if not len(ranking):
            ranking.add(self._words.frequent(place))
        offers = ranking.best()
        ghost = self._ahead.ghost_between(place, offers[0]) if offers else None
        least_share = LEAST_SHARE if place.boundary is not None else 0.0
        return _Made(tuple(slots_of(offers, 1.0, self.options.num_slots, least_share)), ghost=ghost), offers

    def _in_word(self, place: Place, ranking: Ranking) -> tuple[_Made, list[Offer]]:
        shortcut = self._meant.shortcut(place)
        if shortcut is not None:
            offers = [self._meant.literal(place, Verdict()), shortcut]
            slots = slots_of(offers, 1.0, self.options.num_slots, least_share=0.0)
            return _Made(tuple(slots), Correction(shortcut.replaced, shortcut.text)), offers
        num_slots, boundary = self.options.num_slots, place.boundary
        result = None
        if boundary is not None:
            result = find_words(self._boundaries.table, boundary, place.prefix, self._num_words, self.options.search)
        ranking.add(self._words.network(place, result))
        ranking.add(self._words.own(place, result.words if result is not None else ()))
        if len(ranking) < num_slots:
            ranking.add(self._words.frequent(place))
        verdict = self._meant.verdict(place)
        ranking.add(self._meant.beginnings(place))
        ranking.add(self._meant.words(place, verdict))
        literal = self._meant.literal(place, verdict)
        total = ranking.total() + math.exp(literal.log_joint)
        made = self._meant.correction(place, verdict)
        if made is not None and not self._filter.has_offensive(made.text):
            offers = ranking.best()
            correction = Correction(made.replaced, made.text)
            if self._meant.is_likely(place, made, total):
                slots = with_correction(offers, total, correction, literal, num_slots)
                return _Made(tuple(slots), correction), [literal, *offers]
            if math.exp(made.log_joint) >= LEAST_SHARE * total or is_among(made.text, offers[:num_slots]):
                slots = with_unlikely_correction(offers, total, correction, num_slots)
                return _Made(tuple(slots), correction), [literal, *offers]
        if result is None:
            offers = ranking.best()  # by frequency alone: no share is small enough to say anything
            return _Made(tuple(slots_of(offers, total, num_slots, least_share=0.0))), [literal, *offers]
        if self._ahead.is_finished(result) and self._known_words.is_word(place.word):
            behind = self._ahead.behind(place, result)
            total = total or 1.0
            ranking.add(self._ahead.following(behind, total))
            offers, emoji = ranking.best(), self._emoji(place, ranking)
            slots = with_last(slots_of(offers, total, num_slots), emoji, num_slots)
            offers += emoji
            ghost = self._ahead.ghost_behind(place, behind)
        else:
            offers = ranking.best()
            slots = slots_of(offers, total, num_slots)
            ghost = self._ahead.ghost_inside(place, result, slots[0]) if slots else None
        return _Made(tuple(slots), ghost=ghost), [literal, *offers]

    def _by_path(self, place: Place, ranking: Ranking) -> tuple[_Made, list[Offer]]:
        ranking.add(self._swiped.words(place))
        offers = ranking.best()
        return _Made(tuple(slots_of(offers, ranking.total(), self.options.num_slots + 1, least_share=0.0))), offers

    def _emoji(self, place: Place, ranking: Ranking) -> list[Offer]:
        if not self.options.emoji or self.options.num_slots <= 2:
            return []
        return ranking.fit(self._words.emoji(place))


def _protection(personal: PersonalStore | None, is_listed: Callable[[str], bool]) -> Callable[[str], bool]:
    # Of no suggester: one whose parts refer to it would keep its KV cache until the next collection.
    if personal is None:
        return lambda word: False
    return lambda word: personal.is_protected(word) or (personal.is_known(word) and not is_listed(word))


def _stage(turn: Turn, has_boundary: bool, num_fed: int) -> Stage:
    if not has_boundary:
        return "personal_and_lexicon"
    if not turn.was_refused:
        return "full"
    if turn.num_calls > num_fed:
        return "fewer_branches"
    return "no_branches" if num_fed else "cached"
