"""What somebody meant by the word before the cursor, and whether a space should put that in its place.

The posterior of a word is P(word | context) x P(taps | word), over the words of a lexicon and the literal, which is
what was typed taken at its word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy

from keyboard_lm.correction.candidates import Candidate, CandidateSearch
from keyboard_lm.correction.decision import Decision, bare_of
from keyboard_lm.correction.gate import Evidence, Gate
from keyboard_lm.correction.hypotheses import Hypothesis, Verdict, lead_of, literal_of
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.correction.protection import has_form_to_keep, is_shouted
from keyboard_lm.correction.readings import Readings
from keyboard_lm.correction.weighing import Prior, Weighing
from keyboard_lm.decoding.context import Boundary
from keyboard_lm.decoding.word_scores import WordScorer
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import TextForm, TypedText
from keyboard_lm.touch.layout import SPACE, Tap
from keyboard_lm.words.known_words import KnownWords

BoundaryOf = Callable[[TypedText], Boundary | None]
More = Callable[[str, Sequence[Tap | None]], Sequence[Candidate]]
_MAX_JUDGED = 8
_MAX_RECONSIDERED = 3


class Corrector:
    """Corrects words.

    The word before the last is thought of again if it was judged in its turn, when it was the last.

    Args:
        search: for the words that may have been meant.
        tokenizer: of the network.
        options: when to correct.
        is_protected: words that must stay as they are: those that were learned, or once restored.
        max_nodes: of one call of the network.
        words: what is a word; None for those of the lexicon.
        gate: when letters that are no word are replaced; None where the ratios alone decide.
    """

    def __init__(
        self,
        search: CandidateSearch,
        tokenizer: Tokenizer,
        options: CorrectorOptions | None = None,
        is_protected: Callable[[str], bool] = lambda word: False,
        max_nodes: int = 16,
        words: KnownWords | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.options = options = options or CorrectorOptions()
        self._words = words = words or KnownWords(search.lexicon)
        self._form: TextForm = tokenizer.form
        scorer = WordScorer(tokenizer, max_nodes)
        self._readings = Readings(search, tokenizer, scorer, words, options)
        self._weighing = Weighing(scorer, options, self._readings.literal_frequency)
        self._decision = Decision(options, words, self._readings, search.options.nats_per_step, gate)
        self._lexicon = search.lexicon
        self._is_protected = is_protected
        self._judged: dict[str, tuple[Hypothesis, ...]] = {}  # by text: what else the last words may have been

    def another(self, is_protected: Callable[[str], bool]) -> Corrector:
        """Return a corrector for another field, which shares all that does not depend on one.

        Args:
            is_protected: words that must stay as they are there.
        """
        other = copy(self)
        other._is_protected = is_protected
        other._judged = {}
        return other

    def forget(self) -> None:
        """Drop what earlier words may still turn out to have been."""
        self._judged.clear()

    def judge(
        self,
        text: str,
        boundary_of: BoundaryOf,
        taps: Sequence[Tap | None] = (),
        prior: Prior | None = None,
        more: More | None = None,
        typed: TypedText | None = None,
    ) -> Verdict:
        """Say what was meant by the word that ends a text, and whether to correct it.

        Args:
            text: all before the cursor, which stands right behind the word.
            boundary_of: asks the network about the context of a typed text; None where it may not be asked, and the
                lexicon's frequencies have to do.
            taps: of the last characters; those of the word or none.
            prior: from the network's probability of a word, and the word, to what is believed instead (see
                `keyboard_lm.personal.store.PersonalView.mix`).
            more: finds words that are not in the lexicon, by letters and taps.
            typed: the text as the text form splits it, if that is known already.
        """
        typed = typed or self._form.split_typed(text)
        word = typed.partial
        if not word or not text.endswith(word):
            return Verdict()
        if is_shouted(text, word):
            return self._shouted(text, boundary_of, taps, prior, more)
        is_digit_inside = self._has_digit_inside(text, word)
        if not is_digit_inside and self.protects(text, word):
            return Verdict()
        taps = tuple(taps[-len(word) :]) if len(taps) >= len(word) else ()
        literal = self._readings.literal(typed)
        if is_digit_inside:
            readings = [literal, *self._readings.without_digit(word, typed)]
            return self._decision.verdict(word, self._weighing.weighed(readings, boundary_of(typed), prior), typed)
        words, splits = self._readings.of_word(typed, taps)
        own = self._readings.of_candidates(more(word, taps), typed) if more is not None else []
        found = self._joined(text, typed, boundary_of, prior)
        if not found:
            mix = None if any(typed.messages) else self.options.frequency_mix_alone
            found = self._weighing.weighed([literal, *words, *own, *splits], boundary_of(typed), prior, mix)
        verdict = self._decision.verdict(word, found, typed)
        self._remember(text, word, verdict)
        return self._reconsidered(text, typed, boundary_of) or verdict if verdict.correction is None else verdict

    def _has_digit_inside(self, text: str, word: str) -> bool:
        chunk = text[text.rfind(SPACE) + 1 :]
        return (
            not chunk.isalpha()
            and chunk == word
            and chunk.isalnum()
            and self._readings.may_hold_digit(word)
            and not self._is_protected(word)
        )

    def _shouted(
        self,
        text: str,
        boundary_of: BoundaryOf,
        taps: Sequence[Tap | None],
        prior: Prior | None,
        more: More | None,
    ) -> Verdict:
        """Judge a text in capitals as if it were in small letters, and answer in capitals."""
        quiet = self.judge(fold(text), boundary_of, taps, prior, more)

        def loud(each: Hypothesis) -> Hypothesis:
            return each._replace(replaced=text[len(text) - len(each.replaced) :], text=each.text.upper())

        best = quiet.correction
        correction = loud(best) if best is not None and best.text.upper() != best.replaced.upper() else None
        return Verdict(tuple(map(loud, quiet.hypotheses)), correction)

    def protects(self, text: str, word: str) -> bool:
        """Return whether a word must stay: digits, addresses, capitals inside or throughout, and what was learned."""
        return (
            len(word) > self.options.max_letters
            or has_form_to_keep(text, word)
            or (len(word) == 1 and not self._readings.is_lone_capital(word))
            or self._is_protected(word)
        )

    def knows(self, word: str) -> bool:
        """Return whether letters are a word as they stand."""
        return self._words.is_known(word)

    def evidence(self, word: str, found: Sequence[Hypothesis], typed: TypedText) -> Evidence:
        """Return what the gate weighs of letters that are no word (see `Decision.evidence`)."""
        return self._decision.evidence(word, found, typed)

    def _joined(self, text: str, typed: TypedText, boundary_of: BoundaryOf, prior: Prior | None) -> list[Hypothesis]:
        """Return what is left of and right of a stray space as one word and as two; nothing if that is no question."""
        right = typed.partial
        before = text[: -len(right)]
        if before[-1:] != SPACE or before[-2:-1].isspace():
            return []
        earlier_text = before[:-1]
        earlier = self._form.split_typed(earlier_text)
        left = earlier.partial
        readings = self._readings.joined(left, right, earlier)
        if not readings or not earlier_text.endswith(left) or self.protects(earlier_text + right, left + right):
            return []
        found = self._weighing.weighed(readings, boundary_of(earlier), prior)
        best = found[0]
        return found if not best.is_literal and lead_of(best, found) >= self.options.unknown_ratio else []

    def _remember(self, text: str, word: str, verdict: Verdict) -> None:
        # What the word may still turn out to be, once the next one is there.
        if len(self._judged) >= _MAX_JUDGED:
            self._judged.pop(next(iter(self._judged)))
        least = math.log(self.options.reconsider_margin)
        if verdict.correction is not None:
            self._judged[text] = ()
            return
        literal = literal_of(verdict.hypotheses)
        others = [each for each in verdict.hypotheses if each.replaced == word and " " not in each.text]
        kept = [each for each in others if each.is_literal or each.log_joint >= literal.log_joint - least]
        self._judged[text] = tuple(kept[: _MAX_RECONSIDERED + 1])

    def _reconsidered(self, text: str, typed: TypedText, boundary_of: BoundaryOf) -> Verdict | None:
        """Return what the word before the last becomes if the one under the cursor makes it implausible."""
        right = typed.partial
        before = text[: -len(right)]
        earlier_text = before[:-1]
        hypotheses = self._judged.get(earlier_text, ())
        if before[-1:] != SPACE or len(hypotheses) < 2 or not self._lexicon.known(right):
            return None
        earlier = self._form.split_typed(earlier_text)
        left = earlier.partial
        boundary = boundary_of(earlier) if earlier_text.endswith(left) and left else None
        literal = next((each for each in hypotheses if each.is_literal), None)
        if boundary is None or literal is None or literal.text != left:
            return None
        readings = []
        for each in sorted(hypotheses, key=lambda one: not one.is_literal):
            token = self._readings.token(each.text, earlier)
            if token is None:
                return None
            both = f"{left} {right}", f"{each.text} {right}"
            readings.append(self._readings.of_tokens(*both, each.log_channel, (token, right)))
        found = self._weighing.weighed(readings, boundary, None)
        best = found[0]
        if best.is_literal:
            return None
        is_contraction = bare_of(best.text) == bare_of(best.replaced)
        needed = self.options.contraction_ratio_behind if is_contraction else self.options.reconsider_ratio
        if lead_of(best, found) < needed:
            return None
        return Verdict(tuple(found), best)
