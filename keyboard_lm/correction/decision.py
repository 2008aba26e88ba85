"""Whether the best hypothesis goes in the place of what was typed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from keyboard_lm.correction.gate import Evidence, Gate
from keyboard_lm.correction.hypotheses import Hypothesis, Verdict, lead_of
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.correction.readings import Readings
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import TypedText
from keyboard_lm.words.known_words import KnownWords


class Decision:
    """Decides.

    Args:
        options: by which ratios.
        words: what is a word.
        readings: what are common miswritings, and how probable letters are that are none.
        nats_per_step: what one step of the lexicon's frequency scale is worth.
        gate: when letters that are no word are replaced; None where the ratios alone decide.
    """

    def __init__(
        self, options: CorrectorOptions, words: KnownWords, readings: Readings, nats_per_step: float, gate: Gate | None
    ) -> None:
        self._options = options
        self._words = words
        self._readings = readings
        self._nats_per_step = nats_per_step
        self._gate = gate

    def verdict(self, word: str, found: Sequence[Hypothesis], typed: TypedText) -> Verdict:
        """Return what to make of a word.

        Args:
            word: as typed.
            found: what may have been meant, the most probable first.
            typed: where it is.
        """
        best = found[0]
        is_known = self._words.is_known(word)
        if best.is_literal:
            # What is no word is for the gate to weigh, whose odds are calibrated; a prior of unlisted letters is not.
            other = other_of(word, found)
            if is_known or other is None or not self._is_for_gate(word) or " " in other.text:
                return Verdict(tuple(found))
            return self._by_gate(word, other, found, typed)
        if best.replaced == word:
            best = self._unless_a_name(word, found)
            if best.is_literal:
                return Verdict(tuple(found))
        lead = lead_of(best, found)
        if best.replaced != word:
            return Verdict(tuple(found), best if lead >= self._options.unknown_ratio else None)
        if fold(best.text) == fold(word):
            needed = self._options.case_ratio if not is_known else self._options.known_ratio
        elif is_known:
            is_contraction = bare_of(best.text) == bare_of(word)
            needed = self._options.contraction_ratio if is_contraction else self._options.known_ratio
        elif " " in best.text:
            is_phrase = best.log_joint - best.log_channel >= math.log(self._options.least_phrase)
            return Verdict(tuple(found), best if is_phrase and lead >= self._options.unknown_ratio else None)
        elif self._is_for_gate(word):
            return self._by_gate(word, best, found, typed)
        else:
            needed = self._options.unknown_ratio
        return Verdict(tuple(found), best if lead >= needed else None)

    def _is_for_gate(self, word: str) -> bool:
        return self._gate is not None and not self._readings.is_miswritten(word) and word.isalpha()

    def _by_gate(self, word: str, best: Hypothesis, found: Sequence[Hypothesis], typed: TypedText) -> Verdict:
        assert self._gate is not None
        evidence = self.evidence(word, found, typed)
        least = self._options.least_odds if evidence.has_context else self._options.least_odds_alone
        return Verdict(tuple(found), best if self._gate.odds(evidence) >= least else None)

    def _unless_a_name(self, word: str, found: Sequence[Hypothesis]) -> Hypothesis:
        """Return the best hypothesis; one of other letters only where it beats the word's own with other capitals.

        A name gets its capital, not another word. Somebody who writes without capitals has not mistyped, so that the
        missing one does not count against the name.
        """
        best, folded = found[0], fold(word)
        same = [each for each in found if not each.is_literal and fold(each.text) == folded]
        if not same or fold(best.text) == folded:
            return best
        name = max(same, key=lambda each: each.log_joint - each.log_channel)
        frequency = self._words.log_frequency(name.text, self._nats_per_step)
        log_name = max(name.log_joint - name.log_channel, math.log(self._options.known_mix) + frequency)
        return best if best.log_joint >= log_name + math.log(self._options.known_ratio) else name

    def evidence(self, word: str, found: Sequence[Hypothesis], typed: TypedText) -> Evidence:
        """Return what the gate weighs of letters that are no word.

        Args:
            word: the letters.
            found: what they may stand for, the most probable first, another word than the literal among them.
            typed: where they are.
        """
        best, *others = (each for each in found if not each.is_literal and each.replaced == word)
        # At the beginning of a sentence the capital is the keyboard's, and says nothing of the word.
        is_capitalised = word[0].isupper() and not typed.starts_sentence
        return Evidence(
            best.log_joint - best.log_channel,
            best.log_channel,
            self._readings.letters.log_probability(word),
            others[0].log_joint if others else -math.inf,
            len(word),
            is_capitalised,
            is_capitalised,
            " " in best.text,
            any(typed.messages),
        )


def other_of(word: str, found: Sequence[Hypothesis]) -> Hypothesis | None:
    """Return the most probable hypothesis but the literal, if it puts other letters in a word's place; else None."""
    best = next((each for each in found if not each.is_literal and each.replaced == word), None)
    return best if best is not None and fold(best.text) != fold(word) else None


def bare_of(text: str) -> str:
    """Return a word's letters, folded, without apostrophes."""
    return fold(text).replace("'", "")
