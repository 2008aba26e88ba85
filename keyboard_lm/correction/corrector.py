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
from keyboard_lm.decoding.context import Boundary
from keyboard_lm.decoding.word_scores import Tokens, WordScorer
from keyboard_lm.errors import ConfigError
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import TextForm, TypedText, capitalise, is_word, token_kind
from keyboard_lm.touch.layout import SPACE, Tap
from keyboard_lm.words.lexicon import MAX_FREQUENCY, Lexicon

BoundaryOf = Callable[[TypedText], Boundary | None]
Prior = Callable[[float, str], float]
_TINY = 1e-30
_UNSEEN = 1e-6  # frequency of letters that make no word, where the network cannot be asked
_ADDRESS_SIGNS = frozenset("@/\\:#&_~+=<>|^*")
_MAX_SPLITS = 4
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
        known_ratio: for those that do.
        case_ratio: for letters that make one with other capitals.
        miswritten_weight: how probable letters that are no word but often written for one are, against what the network
            has learned of them from those who did.
        frequency_mix: how much the lexicon's frequency counts against the network in a word's probability.
        least_frequency: of both words that a missing space is put between.
        reconsider_ratio: for the word before the last, now that the next one is known.
        reconsider_margin: how much less probable than what was typed a word may have been, to be thought of again.
        max_letters: longer words are left alone.
        max_calls: of the network, for candidates of several pieces.
    """

    unknown_ratio: float = 10.0
    known_ratio: float = 30.0
    case_ratio: float = 1.0
    miswritten_weight: float = 0.01
    frequency_mix: float = 0.02
    least_frequency: int = 60
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
    """

    def __init__(
        self,
        search: CandidateSearch,
        tokenizer: Tokenizer,
        options: CorrectorOptions | None = None,
        is_protected: Callable[[str], bool] = lambda word: False,
        max_nodes: int = 16,
    ) -> None:
        self.options = options or CorrectorOptions()
        self._search = search
        self._lexicon: Lexicon = search.lexicon
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
        other = Corrector(self._search, self._tokenizer, self.options, is_protected, self._max_nodes)
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
        if not word or not text.endswith(word) or self.protects(text, word):
            return Verdict()
        taps = tuple(taps[-len(word) :]) if len(taps) >= len(word) else ()
        literal = _Reading(word, word, 0.0, self._literal_tokens(typed))
        words, splits = self._of_word(typed, taps)
        own = self._readings(more(word, taps), typed) if more is not None else []
        readings = [literal, *words, *own, *splits]
        found = self._joined(text, typed, boundary_of, prior) or self._weighed(readings, boundary_of(typed), prior)
        verdict = self._verdict(word, found)
        self._remember(text, word, verdict)
        return self._reconsidered(text, typed, boundary_of) or verdict if verdict.correction is None else verdict

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
        return not self._lexicon.known(word) and self._lexicon.known(word.upper())

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
        bare = fold(word) if self._is_miswritten(word) else None
        readings = []
        for _, text, log_likelihood, log_frequency in candidates:
            written = self._written(text, is_capitalised, typed.starts_sentence)
            if written is not None and written.text != word:
                log_channel = _LOG_MISWRITTEN if written.bare == bare else log_likelihood + written.log_case
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
        """Return the pairs of words that a missed space may have joined."""
        word, least = typed.partial, self.options.least_frequency
        pairs = []
        for place in range(1, len(word)):
            left, right = word[:place], word[place:]
            if right[0].isalpha() and self._lexicon.known(left) and self._lexicon.known(right):
                frequencies = self._lexicon.frequency(left), self._lexicon.frequency(right)
                if min(frequencies) >= least and not self._lexicon.is_offensive(left + right):
                    pairs.append((sum(frequencies), left, right))
        readings = []
        for _, left, right in sorted(pairs, reverse=True)[:_MAX_SPLITS]:
            token = self._token(left, typed)
            if token is not None:
                log_channel = math.log(self._rates.missed_space)
                readings.append(_Reading(word, f"{left} {right}", log_channel, (((token, right), 1.0),)))
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
        if found[0].is_literal or _ratio(found) < self.options.reconsider_ratio:
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
        if prior is not None:
            probability = prior(probability, reading.text)
        mix = self.options.frequency_mix
        probability = (1 - mix) * probability + mix * reading.frequency
        return math.log(max(probability, _TINY)) + reading.log_channel

    def _verdict(self, word: str, found: list[Hypothesis]) -> Verdict:
        best = found[0]
        if best.is_literal:
            return Verdict(tuple(found))
        if best.replaced != word:
            needed = self.options.unknown_ratio
        elif fold(best.text) == fold(word):
            needed = self.options.case_ratio if not self._lexicon.known(word) else self.options.known_ratio
        else:
            needed = self.options.known_ratio if self._lexicon.known(word) else self.options.unknown_ratio
        return Verdict(tuple(found), best if _ratio(found) >= needed else None)


def _is_no_prose(chunk: str) -> bool:
    return any(map(str.isdigit, chunk)) or not _ADDRESS_SIGNS.isdisjoint(chunk) or "." in chunk.strip(".")


def _ratio(found: list[Hypothesis]) -> float:
    literal = next(each for each in found if each.is_literal)
    return math.exp(min(found[0].log_joint - literal.log_joint, 700.0))
