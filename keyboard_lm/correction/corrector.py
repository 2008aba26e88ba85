"""What somebody meant by the word before the cursor, and whether a space should put that in its place.

The posterior of a word is P(word | context) x P(taps | word), over the words of a lexicon and the literal, which is
what was typed taken at its word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from keyboard_lm.correction.candidates import Candidate, CandidateSearch
from keyboard_lm.correction.gate import Evidence, Gate
from keyboard_lm.correction.slips import keys_above_space, letters_below_digits, pairs_of, without_digit
from keyboard_lm.decoding.context import Boundary
from keyboard_lm.decoding.word_scores import Tokens, WordScorer
from keyboard_lm.errors import ConfigError
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import TextForm, TypedText, capitalise, is_word, token_kind
from keyboard_lm.touch.layout import SPACE, Tap
from keyboard_lm.words.known_words import KnownWords
from keyboard_lm.words.letter_model import LetterModel
from keyboard_lm.words.lexicon import MAX_FREQUENCY, Lexicon

BoundaryOf = Callable[[TypedText], Boundary | None]
Prior = Callable[[float, str], float]
_TINY = 1e-30
_UNSEEN = 1e-6  # frequency of letters that make no word, where the network cannot be asked
_ADDRESS_SIGNS = frozenset("@/\\:#&_~+=<>|^*")
_MAX_SPLITS = 4
_LEAST_OF_CAPITAL = 150  # frequency of a letter that is a word as a capital: other capitals are initials
_LEAST_FOR_DIGIT = 70  # frequency of a word that a digit stands in: "mp3" is none
_MAX_JUDGED = 8
_MAX_REMEMBERED = 8192  # words as they are written in one case and another
_MAX_RECONSIDERED = 3
_MAX_LISTS = 256  # words typed, each with what may have been meant by it: some 4 KB
_LOG_MISWRITTEN = math.log(0.5)  # of leaving out an apostrophe or a capital where what is left is no word


@dataclass(frozen=True)
class CorrectorOptions:
    """When to correct. A ratio is by how much what was meant must be more probable than what was typed.

    The ratios are for at most one right word in a hundred being changed. On held-out dialogue, mail and web answers
    F0.9 fell by a point only over unknown ratios from 1 to 20; of five other texts, tweets and messages among them, 10
    broke fewer words than 3 and mended as many. `keyboard-lm eval autocorrect --engine full` measures it.

    Attributes:
        unknown_ratio: for letters that make no word of the lexicon.
        least_odds: that what was meant is the best hypothesis, where a gate tells them of letters that make no word.
        least_odds_alone: the same for the first word of a field, where there is no context to spoil.
        known_ratio: for those that do.
        case_ratio: for letters that make one with other capitals.
        contraction_ratio: for a word that lacks nothing but the apostrophe of another one (``its``, ``dads``).
        contraction_ratio_behind: the same once the next word is known, too.
        miswritten_weight: how probable letters that are no word but often written for one are, against what the network
            has learned of them from those who did.
        unknown_rate: of a word that nobody listed, among all words; its letters decide the rest. The network is not
            asked about it: it has learned spellings from people who misspelled.
        unknown_name_rate: the same behind a capital that no sentence asks for.
        known_mix: of the lexicon's frequency in the probability of a listed word that was typed as it is listed.
        hit_for_space: of hitting a key above the space bar for it.
        hit_for_letter: of hitting the digit above a letter for it.
        frequency_mix: how much the lexicon's frequency counts against the network in another word's probability.
        frequency_mix_alone: the same for the first word of a field, of which the network knows little.
        least_frequency: of both words that a missing space is put between.
        least_phrase: probability of the two given the context; ``moviebot`` is no movie bot.
        reconsider_ratio: for the word before the last, now that the next one is known.
        reconsider_margin: how much less probable than what was typed a word may have been, to be thought of again.
        max_letters: longer words are left alone.
        max_calls: of the network, for candidates of several pieces.
    """

    unknown_ratio: float = 10.0
    least_odds: float = 0.65
    least_odds_alone: float = 0.05
    known_ratio: float = 300.0
    case_ratio: float = 1.0
    contraction_ratio: float = 10.0
    contraction_ratio_behind: float = 2.0
    miswritten_weight: float = 0.01
    unknown_rate: float = 0.01
    unknown_name_rate: float = 0.2
    known_mix: float = 0.3
    hit_for_space: float = 0.002
    hit_for_letter: float = 0.001
    frequency_mix: float = 0.02
    frequency_mix_alone: float = 0.6
    least_frequency: int = 60
    least_phrase: float = 3e-7
    reconsider_ratio: float = 10.0
    reconsider_margin: float = 100.0
    max_letters: int = 24
    max_calls: int = 1

    def __post_init__(self) -> None:
        mistakes = [
            f"{name} must be positive, not {getattr(self, name)!r}"
            for name in (
                "unknown_ratio",
                "known_ratio",
                "case_ratio",
                "reconsider_ratio",
                "reconsider_margin",
                "max_letters",
            )
            if not getattr(self, name) > 0
        ]
        if not 0 <= self.frequency_mix < 1:
            mistakes.append(f"frequency_mix must be from 0 to below 1, not {self.frequency_mix!r}")
        if mistakes:
            raise ConfigError("corrector: " + "; ".join(mistakes))


class Hypothesis(NamedTuple):
    """What may have been meant.

    Attributes:
        replaced: the end of the text before the cursor that it stands for.
        text: what it would be written as.
        log_joint: logarithm of P(text | context) x P(taps | text).
        posterior: its share among all hypotheses.
        log_channel: logarithm of P(taps | text), relative to that of typing these letters on purpose.
    """

    replaced: str
    text: str
    log_joint: float
    posterior: float
    log_channel: float = 0.0

    @property
    def is_literal(self) -> bool:
        """Whether it changes nothing."""
        return self.text == self.replaced


@dataclass(frozen=True)
class Verdict:
    """What to make of the word before the cursor.

    Attributes:
        hypotheses: the most probable first, the literal among them; empty where there is no word, or a protected one.
        correction: the one that a space should put in place of what was typed; None to leave it.
    """

    hypotheses: tuple[Hypothesis, ...] = ()
    correction: Hypothesis | None = None


WeighedTokens = tuple[tuple[Tokens, float], ...]  # form tokens, and how probable the letters' case makes them


class _Reading(NamedTuple):
    """A hypothesis before the network is asked: ways to continue the context that come to the same text."""

    replaced: str
    text: str
    log_channel: float
    tokens: WeighedTokens
    frequency: float = 0.0  # of the word in the lexicon, as a share of that of the most frequent
    log_floor: float = -math.inf  # its probability is at least this
    mix: float | None = None  # of its frequency in its probability; None for the usual one
    log_unlisted: float | None = None  # of letters that are no word: their probability, whatever the network says


class _Written(NamedTuple):
    """How a word would be written where another one is.

    Attributes:
        text: with the capitals that belong there.
        tokens: what it may be to the network.
        log_case: of the capitals typed.
        bare: its letters, folded, without apostrophes.
    """

    text: str
    tokens: WeighedTokens
    log_case: float
    bare: str


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
        self.options = options or CorrectorOptions()
        self._words = words or KnownWords(search.lexicon)
        self._gate = gate
        layout = search.channel.layout
        self._above_space, self._below_digits = keys_above_space(layout), letters_below_digits(layout)
        self._search = search
        self._lexicon: Lexicon = search.lexicon
        self._letter_model = LetterModel(search.lexicon)
        self._rates = search.channel.parameters.rates
        self._tokenizer, self._max_nodes = tokenizer, max_nodes
        self._form: TextForm = tokenizer.form
        self._scorer = WordScorer(tokenizer, max_nodes)
        self._is_protected = is_protected
        self._first_token = lru_cache(maxsize=4096)(self._token_at_start)
        self._written = lru_cache(maxsize=_MAX_REMEMBERED)(self._as_written)
        self._lists: dict[tuple[str, bool], tuple[list[_Reading], list[_Reading]]] = {}  # by word typed without taps
        self._judged: dict[str, tuple[Hypothesis, ...]] = {}  # by text: what else the last words may have been
        self._least_lead = math.log(max(self.options.unknown_ratio, self.options.known_ratio))

    def another(self, is_protected: Callable[[str], bool]) -> Corrector:
        """Return a corrector for another field, which shares all that does not depend on one.

        Args:
            is_protected: words that must stay as they are there.
        """
        other = Corrector(
            self._search, self._tokenizer, self.options, is_protected, self._max_nodes, self._words, self._gate
        )
        other._letter_model = self._letter_model
        other._scorer, other._first_token, other._written = self._scorer, self._first_token, self._written
        other._lists = self._lists
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
        more: Callable[[str, Sequence[Tap | None]], Sequence[Candidate]] | None = None,
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
        if self._is_shouted(text, word):
            return self._shouted(text, boundary_of, taps, prior, more)
        is_digit_inside = self._has_digit_inside(text, word)
        if not is_digit_inside and self.protects(text, word):
            return Verdict()
        taps = tuple(taps[-len(word) :]) if len(taps) >= len(word) else ()
        literal = self._literal(typed)
        if is_digit_inside:
            readings = [literal, *self._without_digit(word, typed)]
            return self._verdict(word, self._weighed(readings, boundary_of(typed), prior), typed)
        words, splits = self._of_word(typed, taps)
        own = self._readings(more(word, taps), typed) if more is not None else []
        readings = [literal, *words, *own, *splits]
        if not any(typed.messages):
            readings[1:] = [reading._replace(mix=self.options.frequency_mix_alone) for reading in readings[1:]]
        found = self._joined(text, typed, boundary_of, prior) or self._weighed(readings, boundary_of(typed), prior)
        verdict = self._verdict(word, found, typed)
        self._remember(text, word, verdict)
        return self._reconsidered(text, typed, boundary_of) or verdict if verdict.correction is None else verdict

    def _has_digit_inside(self, text: str, word: str) -> bool:
        chunk = text[text.rfind(SPACE) + 1 :]
        return (
            chunk.isalnum()
            and not chunk.isalpha()
            and chunk == word
            and any(self._lexicon.known(each) for each in without_digit(word, self._below_digits))
            and not self._words.is_word(word)
            and not self._is_protected(word)
        )

    @staticmethod
    def _is_shouted(text: str, word: str) -> bool:
        # Capitals throughout, behind other words that are: a sentence in capitals, no abbreviation.
        if len(word) < 2 or not word.isupper():
            return False
        line = text[text.rfind("\n") + 1 : len(text) - len(word)]
        before = [each for each in line.split() if any(map(str.isalpha, each))]
        return (
            bool(before) and all(map(str.isupper, before)) and any(sum(map(str.isalpha, each)) > 1 for each in before)
        )

    def _shouted(
        self,
        text: str,
        boundary_of: BoundaryOf,
        taps: Sequence[Tap | None],
        prior: Prior | None,
        more: Callable[[str, Sequence[Tap | None]], Sequence[Candidate]] | None,
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
        chunk = text[text.rfind(SPACE) + 1 :]
        return (
            len(word) > self.options.max_letters
            or (not chunk.isalpha() and _is_no_prose(chunk))
            or "www" in chunk
            or word[1:] != fold(word[1:])
            or not any(char.isalpha() for char in word)
            or not word[-1].isalpha()
            or (len(word) == 1 and not self._is_lone_capital(word))
            or self._is_protected(word)
        )

    def _is_miswritten(self, word: str) -> bool:
        return self._lexicon.is_miswritten(word) or (len(word) == 1 and self._is_lone_capital(word))

    def _is_lone_capital(self, word: str) -> bool:
        # A letter that is a word as a capital only: "i".
        capital = word.upper()
        return (
            not self._lexicon.known(word)
            and self._lexicon.known(capital)
            and self._lexicon.frequency(capital) >= _LEAST_OF_CAPITAL
        )

    def _literal(self, typed: TypedText) -> _Reading:
        """Return what was typed, taken at its word: by what is known of it, or by its letters where that is nothing."""
        word, options = typed.partial, self.options
        if self._words.is_known(word) and not self._is_miswritten(word):
            log_frequency = self._words.log_frequency(word, self._search.options.nats_per_step)
            log_floor = math.log(options.known_mix) + log_frequency
            return _Reading(word, word, 0.0, self._literal_tokens(typed), log_floor=log_floor)
        is_name = word[0].isupper() and not typed.starts_sentence
        rate = options.unknown_name_rate if is_name else options.unknown_rate
        if self._is_miswritten(word):
            rate *= options.miswritten_weight
        log_unlisted = math.log(rate) + self._letter_model.log_probability(word)
        return _Reading(word, word, 0.0, self._literal_tokens(typed), log_unlisted=log_unlisted)

    def _literal_tokens(self, typed: TypedText) -> tuple[tuple[Tokens, float], ...]:
        # At the beginning of a sentence a capital may be the word's own.
        word = typed.partial
        tokens = dict.fromkeys((word, self._token(word, typed)))
        weight = self.options.miswritten_weight if self._is_miswritten(word) else 1.0
        return tuple(((token,), weight) for token in tokens if token is not None)

    def _literal_frequency(self, word: str) -> float:
        # Only for want of the network, which knows better what is likely to be written though it is no word.
        frequency = 0 if self._is_miswritten(word) else self._lexicon.frequency(word)
        return math.exp((frequency - MAX_FREQUENCY) * self._search.options.nats_per_step) if frequency else _UNSEEN

    def _token(self, word: str, typed: TypedText) -> str | None:
        """Return the form token that a word becomes at the place of the word typed; None if it is not one word."""
        return self._first_token(word) if typed.starts_sentence else word if is_word(word) else None

    def _token_at_start(self, word: str) -> str | None:
        tokens = self._form.encode_tokens(word)
        return tokens[0] if len(tokens) == 1 and token_kind(tokens[0]) == "word" else None

    def _of_word(self, typed: TypedText, taps: tuple[Tap | None, ...]) -> tuple[list[_Reading], list[_Reading]]:
        """Return the words and the pairs of words that may have been meant, whatever the context."""
        key = typed.partial, typed.starts_sentence
        known = self._lists.get(key) if not taps else None
        if known is None:
            known = self._readings(self._search.find(typed.partial, taps), typed), self._splits(typed)
            if not taps:
                if len(self._lists) >= _MAX_LISTS:
                    self._lists.clear()
                self._lists[key] = known
        return known

    def _readings(self, candidates: Sequence[Candidate], typed: TypedText) -> list[_Reading]:
        word, is_capitalised = typed.partial, typed.partial[0].isupper()
        bare, is_known = fold(word), self._words.is_known(word) and not self._is_miswritten(word)
        readings = []
        for _, text, log_likelihood, log_frequency in candidates:
            written = self._written(text, is_capitalised, typed.starts_sentence)
            if written is not None and written.text != word:
                lacks_apostrophe = written.bare == bare and "'" in written.text
                is_miswritten = written.bare == bare and not is_known
                log_channel = log_likelihood + written.log_case
                if lacks_apostrophe or is_miswritten:
                    log_channel = max(log_channel, _LOG_MISWRITTEN)
                readings.append(_Reading(word, written.text, log_channel, written.tokens, math.exp(log_frequency)))
        return readings

    def _as_written(self, word: str, is_capitalised: bool, starts_sentence: bool) -> _Written | None:
        """Return how a word of the lexicon would be written; None if that is not one word to the network.

        Args:
            word: as cased in the lexicon.
            is_capitalised: whether what was typed has a capital first.
            starts_sentence: whether that stands first in a sentence.
        """
        folded = fold(word)
        has_capital = word != folded
        token = self._first_token(word) if starts_sentence else word if is_word(word) else None
        if token is None:
            return None
        text, log_case = word, 0.0
        tokens: WeighedTokens = (((token,), 1.0),)
        if is_capitalised:
            text = capitalise(word)
            if not starts_sentence and not has_capital:
                tokens = (((token,), self._rates.stray_shift), ((text,), 1.0))
        elif has_capital:
            log_case = math.log(self._rates.missed_shift)
        return _Written(text, tokens, log_case, folded.replace("'", ""))

    def _splits(self, typed: TypedText) -> list[_Reading]:
        """Return the pairs of words that a missed space, or the key above it, may have joined."""
        word, least = typed.partial, self.options.least_frequency
        pairs = []
        for left, right, is_hit in pairs_of(word, self._above_space):
            if self._lexicon.known(left) and self._lexicon.known(right):
                frequencies = self._lexicon.frequency(left), self._lexicon.frequency(right)
                if min(frequencies) >= least and not self._lexicon.is_offensive(left + right):
                    pairs.append((sum(frequencies), left, right, is_hit))
        readings = []
        for _, left, right, is_hit in sorted(pairs, reverse=True)[:_MAX_SPLITS]:
            token = self._token(left, typed)
            if token is not None:
                log_channel = math.log(self.options.hit_for_space if is_hit else self._rates.missed_space)
                readings.append(_Reading(word, f"{left} {right}", log_channel, (((token, right), 1.0),)))
        return readings

    def _without_digit(self, word: str, typed: TypedText) -> list[_Reading]:
        """Return the words that letters with a digit among them may have been."""
        readings = []
        for text in without_digit(word, self._below_digits):
            token = self._token(text, typed)
            if token is not None and self._lexicon.known(text) and self._lexicon.frequency(text) >= _LEAST_FOR_DIGIT:
                log_frequency = self._words.log_frequency(text, self._search.options.nats_per_step)
                log_channel = math.log(self.options.hit_for_letter)
                readings.append(_Reading(word, text, log_channel, (((token,), 1.0),), math.exp(log_frequency)))
        return readings

    def _joined(self, text: str, typed: TypedText, boundary_of: BoundaryOf, prior: Prior | None) -> list[Hypothesis]:
        """Return what is left of and right of a stray space as one word and as two; nothing if that is no question."""
        right = typed.partial
        before = text[: -len(right)]
        if before[-1:] != SPACE or before[-2:-1].isspace():
            return []
        earlier = self._form.split_typed(before[:-1])
        left = earlier.partial
        both = left + right
        if (
            not left
            or right != fold(right)
            or not self._lexicon.frequency(both)
            or self._lexicon.is_offensive(both)
            or (self._lexicon.known(left) and self._lexicon.known(right))
            or not before[:-1].endswith(left)
            or self.protects(before[:-1] + right, both)
        ):
            return []
        tokens = self._token(left, earlier), self._token(both, earlier)
        if tokens[0] is None or tokens[1] is None:
            return []
        apart = f"{left} {right}"
        readings = [
            _Reading(apart, apart, 0.0, (((tokens[0], right), 1.0),)),
            _Reading(apart, both, math.log(self._rates.stray_space), (((tokens[1],), 1.0),)),
        ]
        found = self._weighed(readings, boundary_of(earlier), prior)
        best = found[0]
        return found if not best.is_literal and _ratio(found) >= self.options.unknown_ratio else []

    def _remember(self, text: str, word: str, verdict: Verdict) -> None:
        # What the word may still turn out to be, once the next one is there.
        if len(self._judged) >= _MAX_JUDGED:
            self._judged.pop(next(iter(self._judged)))
        least = math.log(self.options.reconsider_margin)
        if verdict.correction is not None:
            self._judged[text] = ()
            return
        literal = next(each for each in verdict.hypotheses if each.is_literal)
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
            token = self._token(each.text, earlier)
            if token is None:
                return None
            both = f"{left} {right}", f"{each.text} {right}"
            readings.append(_Reading(*both, each.log_channel, (((token, right), 1.0),)))
        found = self._weighed(readings, boundary, None)
        if found[0].is_literal:
            return None
        is_contraction = _bare(found[0].text) == _bare(found[0].replaced)
        needed = self.options.contraction_ratio_behind if is_contraction else self.options.reconsider_ratio
        if _ratio(found) < needed:
            return None
        return Verdict(tuple(found), found[0])

    def _weighed(self, readings: list[_Reading], boundary: Boundary | None, prior: Prior | None) -> list[Hypothesis]:
        """Return hypotheses, the most probable first. Of the readings, the first is the literal.

        The network is asked only about those that could win; others count by the lexicon's frequency, and a literal
        that cannot win by as much as is known of it.
        """
        if boundary is None:
            frequency = self._literal_frequency(readings[0].text)
            readings = [readings[0]._replace(frequency=frequency), *readings[1:]]
        literal = readings[0]
        bounds, is_exact = self._bounds(readings, boundary, prior)
        best = max((bound for bound, exact in zip(bounds, is_exact, strict=True) if exact), default=-math.inf)
        order = sorted(range(1, len(readings)), key=lambda i: -bounds[i])
        asked = [i for i in [0, *order] if not is_exact[i] and bounds[i] >= best - (self._least_lead if i == 0 else 0)]
        if asked and boundary is not None:
            again = self._bounds([readings[i] for i in asked], boundary, prior, self.options.max_calls)
            for i, bound, exact in zip(asked, *again, strict=True):
                bounds[i], is_exact[i] = bound, exact
        joints = [
            bound if exact or reading is literal else self._log_joint(reading, 0.0, prior)
            for reading, bound, exact in zip(readings, bounds, is_exact, strict=True)
        ]
        best = max(joints)
        parts = [math.exp(joint - best) for joint in joints]
        total = sum(parts)
        unique: dict[str, Hypothesis] = {}
        ranks = [(-joint, reading.text, i) for i, (joint, reading) in enumerate(zip(joints, readings, strict=True))]
        for _, text, i in sorted(ranks):
            if text not in unique:
                replaced, _, log_channel, *_ = readings[i]
                unique[text] = Hypothesis(replaced, text, joints[i], parts[i] / total, log_channel)
        return list(unique.values())

    def _bounds(
        self, readings: list[_Reading], boundary: Boundary | None, prior: Prior | None, max_calls: int = 0
    ) -> tuple[list[float], list[bool]]:
        """Return what each reading's joint probability is or cannot exceed, and which of the two."""
        if boundary is None:
            return [self._log_joint(reading, 0.0, prior) for reading in readings], [True] * len(readings)
        words = [tokens for reading in readings for tokens, _ in reading.tokens]
        scores = iter(self._scorer.ask(boundary, words, max_calls))
        joints, exact = [], []
        for reading in readings:
            probability, is_exact = 0.0, True
            for _, weight in reading.tokens:
                of_tokens, is_known = next(scores)
                probability += weight * of_tokens
                is_exact = is_exact and is_known
            joints.append(self._log_joint(reading, probability, prior))
            exact.append(is_exact)
        return joints, exact

    def _log_joint(self, reading: _Reading, probability: float, prior: Prior | None) -> float:
        if reading.log_unlisted is not None:
            probability = math.exp(reading.log_unlisted)
        if reading.log_floor > -math.inf:
            probability = max(probability, math.exp(reading.log_floor))
        if prior is not None:
            probability = prior(probability, reading.text)
        mix = self.options.frequency_mix if reading.mix is None else reading.mix
        probability = (1 - mix) * probability + mix * reading.frequency
        return math.log(max(probability, _TINY)) + reading.log_channel

    def _verdict(self, word: str, found: list[Hypothesis], typed: TypedText) -> Verdict:
        best = found[0]
        if best.is_literal:
            return Verdict(tuple(found))
        is_known = self._words.is_known(word)
        if best.replaced == word:
            best = self._unless_a_name(word, found)
            if best.is_literal:
                return Verdict(tuple(found))
        lead = math.exp(min(best.log_joint - _literal(found).log_joint, 700.0))
        if best.replaced != word:
            return Verdict(tuple(found), best if lead >= self.options.unknown_ratio else None)
        if fold(best.text) == fold(word):
            needed = self.options.case_ratio if not is_known else self.options.known_ratio
        elif is_known:
            is_contraction = _bare(best.text) == _bare(word)
            needed = self.options.contraction_ratio if is_contraction else self.options.known_ratio
        elif " " in best.text:
            is_phrase = best.log_joint - best.log_channel >= math.log(self.options.least_phrase)
            return Verdict(tuple(found), best if is_phrase and lead >= self.options.unknown_ratio else None)
        elif self._gate is not None and not self._is_miswritten(word) and word.isalpha():
            evidence = self.evidence(word, found, typed)
            least = self.options.least_odds if evidence.has_context else self.options.least_odds_alone
            return Verdict(tuple(found), best if self._gate.odds(evidence) >= least else None)
        else:
            needed = self.options.unknown_ratio
        return Verdict(tuple(found), best if lead >= needed else None)

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
        frequency = self._words.log_frequency(name.text, self._search.options.nats_per_step)
        log_name = max(name.log_joint - name.log_channel, math.log(self.options.known_mix) + frequency)
        return best if best.log_joint >= log_name + math.log(self.options.known_ratio) else name

    def knows(self, word: str) -> bool:
        """Return whether letters are a word as they stand."""
        return self._words.is_known(word)

    def evidence(self, word: str, found: Sequence[Hypothesis], typed: TypedText) -> Evidence:
        """Return what the gate weighs of letters that are no word.

        Args:
            word: the letters.
            found: what they may stand for, the most probable first, which is not the literal.
            typed: where they are.
        """
        best = found[0]
        rest = (each.log_joint for each in found[1:] if not each.is_literal and each.replaced == word)
        # At the beginning of a sentence the capital is the keyboard's, and says nothing of the word.
        is_capitalised = word[0].isupper() and not typed.starts_sentence
        return Evidence(
            best.log_joint - best.log_channel,
            best.log_channel,
            self._letter_model.log_probability(word),
            next(rest, -math.inf),
            len(word),
            is_capitalised,
            is_capitalised,
            " " in best.text,
            any(typed.messages),
        )


def _is_no_prose(chunk: str) -> bool:
    return any(map(str.isdigit, chunk)) or not _ADDRESS_SIGNS.isdisjoint(chunk) or "." in chunk.strip(".")


def _bare(text: str) -> str:
    return fold(text).replace("'", "")


def _literal(found: Sequence[Hypothesis]) -> Hypothesis:
    return next(each for each in found if each.is_literal)


def _ratio(found: list[Hypothesis]) -> float:
    literal = _literal(found)
    return math.exp(min(found[0].log_joint - literal.log_joint, 700.0))
