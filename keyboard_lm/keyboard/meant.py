"""Sources of words that may have been meant by what was typed, and the decision to put one in its place."""

from __future__ import annotations

import math
from collections.abc import Iterator

from keyboard_lm.correction.candidates import CandidateSearch
from keyboard_lm.correction.corrector import Corrector
from keyboard_lm.correction.hypotheses import Hypothesis, Verdict
from keyboard_lm.correction.mistyped_prefixes import mistyped_completions
from keyboard_lm.decoding.boundaries import Boundaries, recent
from keyboard_lm.keyboard.bar import Kind
from keyboard_lm.keyboard.offers import Offer, new_offer
from keyboard_lm.keyboard.own_words import OwnWords
from keyboard_lm.keyboard.place import Place, as_typed
from keyboard_lm.keyboard.ranking import log
from keyboard_lm.personal.store import PersonalStore
from keyboard_lm.text.case import fold_word


class MeantSources:
    """Yields offers for the letters of a word.

    Args:
        corrector: weighs what may have been meant.
        search: through the lexicon.
        boundaries: of the network.
        own_words: the writer's, as far as no lexicon knows them; None for none.
        personal: what was taken back; None for nothing.
        num_mistyped: as many other beginnings are completed.
        least_share: of a correction among all that may have been meant; see `SuggesterOptions`.
    """

    def __init__(
        self,
        corrector: Corrector,
        search: CandidateSearch,
        boundaries: Boundaries,
        own_words: OwnWords | None,
        personal: PersonalStore | None,
        num_mistyped: int,
        least_share: float,
    ) -> None:
        self._corrector = corrector
        self._search = search
        self._boundaries = boundaries
        self._own_words = own_words
        self._personal = personal
        self._num_mistyped = num_mistyped
        self._least_share = least_share

    def verdict(self, place: Place) -> Verdict:
        """Return what to make of the word under the cursor."""
        text, word = place.request.text, place.word
        if not text.endswith(word):  # written with other signs ("’") than the text form has
            return Verdict()
        return self._corrector.judge(
            recent(text),
            lambda typed: self._boundaries.at_once(typed, place.turn),
            place.request.taps,
            place.view.mix if place.view is not None else None,
            self._own_words.find if self._own_words is not None else None,
            place.typed,
        )

    def beginnings(self, place: Place) -> Iterator[Offer]:
        """Yield words whose beginning may have been meant by the letters."""
        word, taps = place.word, place.request.taps
        if not self._num_mistyped or not word.isalpha() or place.boundary is None:
            return
        taps = tuple(taps[-len(word) :]) if len(taps) >= len(word) else ()
        is_cased = word[0].isupper() or word.isupper()
        found = mistyped_completions(
            self._search, self._boundaries.table, place.boundary, place.prefix, taps, self._num_mistyped
        )
        for written, probability, log_likelihood in found:
            text = as_typed(written, word) if is_cased else written
            yield new_offer(text, written, "correction", "mistyped", log(probability), log_likelihood, word)

    def words(self, place: Place, verdict: Verdict) -> Iterator[Offer]:
        """Yield what a verdict holds, but for the literal."""
        word, made = place.word, verdict.correction
        folded, num_letters, fold = fold_word(word), len(word), fold_word
        may_be_replaced = (word, made.replaced if made is not None else word)
        for replaced, text, log_joint, _, log_channel in verdict.hypotheses:
            if text != replaced and replaced in may_be_replaced:
                is_longer = len(text) > num_letters and fold(text).startswith(folded) and " " not in text
                kind: Kind = "completion" if is_longer else "correction"
                yield new_offer(text, text, kind, "corrector", log_joint - log_channel, log_channel, replaced)

    def literal(self, place: Place, verdict: Verdict) -> Offer:
        """Return what was typed, taken at its word; of no worth where the verdict does not hold it."""
        log_joint = next((each.log_joint for each in verdict.hypotheses if each.is_literal), -math.inf)
        return Offer(place.word, place.word, "literal", "typed", log_joint, 0.0, place.word)

    def shortcut(self, place: Place) -> Offer | None:
        """Return the text that the writer has the letters stand for; None where they are no shortcut of theirs."""
        if self._personal is None or not place.request.may_correct:
            return None
        word = place.word
        text = self._personal.shortcuts.text(word)
        return None if text is None else Offer(as_typed(text, word), text, "correction", "shortcut", 0.0, 0.0, word)

    def is_likely(self, place: Place, best: Hypothesis, total: float) -> bool:
        """Return whether a correction has its share of all that may have been meant, longer words included.

        Args:
            place: of the word.
            best: what a space would put in.
            total: the probability of all that may have been meant, as far as it was looked at.
        """
        lacks_apostrophe = "'" in best.text and _letters(best.text) == _letters(best.replaced)
        share = math.exp(best.log_joint) / total if total else 1.0
        return best.replaced != place.word or lacks_apostrophe or share >= self._least_share

    def correction(self, place: Place, verdict: Verdict) -> Hypothesis | None:
        """Return what a space should put in the place of what was typed; None to leave it.

        Longer words do not count: who types a space has finished the word.

        Args:
            place: of the word.
            verdict: on it.
        """
        best = verdict.correction
        if best is None or not place.request.may_correct:
            return None
        if self._personal is not None and self._personal.is_blocked(best.replaced, best.text):
            return None
        return best


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, fold_word(text)))
