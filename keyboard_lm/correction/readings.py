"""Words that may have been meant, before the network is asked: how each would be written, what it is to the network."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from keyboard_lm.correction.candidates import Candidate, CandidateSearch
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.correction.slips import keys_above_space, letters_below_digits, pairs_of, without_digit
from keyboard_lm.decoding.word_scores import Tokens, WordScorer
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import TypedText, capitalise, is_word, token_kind
from keyboard_lm.touch.layout import Tap
from keyboard_lm.words.known_words import KnownWords
from keyboard_lm.words.letter_model import LetterModel
from keyboard_lm.words.lexicon import MAX_FREQUENCY

_UNSEEN = 1e-6  # frequency of letters that make no word, where the network cannot be asked
_MAX_SPLITS = 4
_LEAST_OF_CAPITAL = 150  # frequency of a letter that is a word as a capital: other capitals are initials
_LEAST_FOR_DIGIT = 70  # frequency of a word that a digit stands in: "mp3" is none
_MAX_REMEMBERED = 8192  # words as they are written in one case and another
_MAX_LISTS = 512  # words typed, each with what may have been meant by it: some 5 KB
_LOG_MISWRITTEN = math.log(0.5)  # of leaving out an apostrophe or a capital where what is left is no word

Way = tuple[Tokens, float, int, bool]
"""Form tokens that come to a word, how probable the letters' case makes them, the first of their pieces (below 0 where
they have none), and whether that is all of them."""


class Reading(NamedTuple):
    """A hypothesis before the network is asked: ways to continue the context that come to the same text.

    Attributes:
        replaced: the end of the text before the cursor that it stands for.
        text: what it would be written as.
        log_channel: logarithm of P(taps | text), relative to that of typing these letters on purpose.
        ways: to write it.
        frequency: of the word in the lexicon, as a share of that of the most frequent.
        log_floor: its probability is at least this.
        log_unlisted: of letters that are no word: their probability, whatever the network says.
    """

    replaced: str
    text: str
    log_channel: float
    ways: tuple[Way, ...]
    frequency: float = 0.0
    log_floor: float = -math.inf
    log_unlisted: float | None = None


class _Written(NamedTuple):
    """How a word would be written where another one is.

    Attributes:
        text: with the capitals that belong there.
        ways: what it may be to the network.
        log_case: of the capitals typed.
        bare: its letters, folded, without apostrophes.
    """

    text: str
    ways: tuple[Way, ...]
    log_case: float
    bare: str


class Readings:
    """Makes readings; nothing of it depends on who writes, nor on the context but for whether a sentence begins.

    Args:
        search: for the words that may have been meant.
        tokenizer: of the network.
        scorer: of the network's words.
        words: what is a word, whoever writes.
        options: when to correct.

    Attributes:
        letters: how probable letters are as a word that nobody listed.
    """

    def __init__(
        self,
        search: CandidateSearch,
        tokenizer: Tokenizer,
        scorer: WordScorer,
        words: KnownWords,
        options: CorrectorOptions,
    ) -> None:
        self._search, self._lexicon = search, search.lexicon
        self._form, self._scorer, self._words, self._options = tokenizer.form, scorer, words, options
        self._rates = search.channel.parameters.rates
        self._nats_per_step = search.options.nats_per_step
        layout = search.channel.layout
        self._above_space, self._below_digits = keys_above_space(layout), letters_below_digits(layout)
        self.letters = LetterModel(search.lexicon)
        self._first_token = lru_cache(maxsize=4096)(self._token_at_start)
        self._written = lru_cache(maxsize=_MAX_REMEMBERED)(self._as_written)
        self._literal = lru_cache(maxsize=_MAX_LISTS)(self._taken_at_its_word)
        self._lists: OrderedDict[tuple[str, bool], tuple[list[Reading], list[Reading]]] = OrderedDict()

    def literal(self, typed: TypedText) -> Reading:
        """Return what was typed, taken at its word: by what is known of it, or by its letters where that is nothing."""
        return self._literal(typed.partial, typed.starts_sentence)

    def _taken_at_its_word(self, word: str, starts_sentence: bool) -> Reading:
        options, is_miswritten = self._options, self.is_miswritten(word)
        # At the beginning of a sentence a capital may be the word's own.
        tokens = dict.fromkeys((word, self._token(word, starts_sentence)))
        weight = options.miswritten_weight if is_miswritten else 1.0
        ways = tuple(self._way((token,), weight) for token in tokens if token is not None)
        if self._words.is_known(word) and not is_miswritten:
            log_floor = math.log(options.known_mix) + self._words.log_frequency(word, self._nats_per_step)
            return Reading(word, word, 0.0, ways, log_floor=log_floor)
        is_name = word[0].isupper() and not starts_sentence
        rate = options.unknown_name_rate if is_name else options.unknown_rate
        if is_miswritten:
            rate *= options.miswritten_weight
        return Reading(word, word, 0.0, ways, log_unlisted=math.log(rate) + self.letters.log_probability(word))

    def literal_frequency(self, word: str) -> float:
        """Return a frequency for what was typed.

        Only for want of the network, which knows better what is likely to be written though it is no word.
        """
        frequency = 0 if self.is_miswritten(word) else self._lexicon.frequency(word)
        return math.exp((frequency - MAX_FREQUENCY) * self._nats_per_step) if frequency else _UNSEEN

    def is_miswritten(self, word: str) -> bool:
        """Return whether letters are what people write for a word."""
        return self._lexicon.is_miswritten(word) or (len(word) == 1 and self.is_lone_capital(word))

    def is_lone_capital(self, word: str) -> bool:
        """Return whether a letter is a word as a capital only: "i"."""
        capital = word.upper()
        return (
            not self._lexicon.known(word)
            and self._lexicon.known(capital)
            and self._lexicon.frequency(capital) >= _LEAST_OF_CAPITAL
        )

    def token(self, word: str, typed: TypedText) -> str | None:
        """Return the form token that a word becomes at the place of the word typed; None if it is not one word."""
        return self._token(word, typed.starts_sentence)

    def _token(self, word: str, starts_sentence: bool) -> str | None:
        return self._first_token(word) if starts_sentence else word if is_word(word) else None

    def _token_at_start(self, word: str) -> str | None:
        tokens = self._form.encode_tokens(word)
        return tokens[0] if len(tokens) == 1 and token_kind(tokens[0]) == "word" else None

    def of_tokens(self, replaced: str, text: str, log_channel: float, tokens: Tokens) -> Reading:
        """Return a reading of given form tokens."""
        return Reading(replaced, text, log_channel, (self._way(tokens, 1.0),))

    def _way(self, tokens: Tokens, weight: float) -> Way:
        path = self._scorer.path(tokens)
        return tokens, weight, path[0] if path else -1, len(path) == 1

    def of_word(self, typed: TypedText, taps: tuple[Tap | None, ...]) -> tuple[list[Reading], list[Reading]]:
        """Return the words and the pairs of words that may have been meant, whatever the context."""
        if taps:
            return self.of_candidates(self._search.find(typed.partial, taps), typed), self._splits(typed)
        key = typed.partial, typed.starts_sentence
        known = self._lists.get(key)
        if known is None:
            known = self.of_candidates(self._search.find(typed.partial, taps), typed), self._splits(typed)
            if len(self._lists) >= _MAX_LISTS:
                self._lists.popitem(last=False)
            self._lists[key] = known
        else:
            self._lists.move_to_end(key)
        return known

    def of_candidates(self, candidates: Sequence[Candidate], typed: TypedText) -> list[Reading]:
        """Return the readings of words that were found by their letters."""
        word, starts_sentence = typed.partial, typed.starts_sentence
        is_capitalised, bare = word[0].isupper(), fold(word)
        is_known = self._words.is_known(word) and not self.is_miswritten(word)
        written_as, new = self._written, tuple.__new__
        readings = []
        for _, text, log_channel, log_frequency in candidates:
            written = written_as(text, is_capitalised, starts_sentence)
            if written is None:
                continue
            as_written, ways, log_case, bare_of_it = written
            if as_written != word:
                log_channel += log_case
                # What lacks nothing but an apostrophe, or is no word, may well be another way to write it.
                if bare_of_it == bare and ("'" in as_written or not is_known):
                    log_channel = max(log_channel, _LOG_MISWRITTEN)
                row = word, as_written, log_channel, ways, math.exp(log_frequency), -math.inf, None
                readings.append(new(Reading, row))
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
        token = self._token(word, starts_sentence)
        if token is None:
            return None
        text, log_case = word, 0.0
        ways: tuple[Way, ...] = (self._way((token,), 1.0),)
        if is_capitalised:
            text = capitalise(word)
            if not starts_sentence and not has_capital:
                ways = self._way((token,), self._rates.stray_shift), self._way((text,), 1.0)
        elif has_capital:
            log_case = math.log(self._rates.missed_shift)
        return _Written(text, ways, log_case, folded.replace("'", ""))

    def _splits(self, typed: TypedText) -> list[Reading]:
        """Return the pairs of words that a missed space, or the key above it, may have joined."""
        word, least = typed.partial, self._options.least_frequency
        pairs = []
        is_i = not self._lexicon.known(word) and self.is_lone_capital(word[0])  # "ihave"
        for begun, right, is_hit in pairs_of(word, self._above_space):
            left = begun.upper() if is_i and len(begun) == 1 else begun
            if self._lexicon.known(left) and self._lexicon.known(right):
                frequencies = self._lexicon.frequency(left), self._lexicon.frequency(right)
                if min(frequencies) >= least and not self._lexicon.is_offensive(left + right):
                    pairs.append((sum(frequencies), left, right, is_hit))
        readings = []
        for _, left, right, is_hit in sorted(pairs, reverse=True)[:_MAX_SPLITS]:
            token = self.token(left, typed)
            if token is not None:
                log_channel = math.log(self._options.hit_for_space if is_hit else self._rates.missed_space)
                readings.append(self.of_tokens(word, f"{left} {right}", log_channel, (token, right)))
        return readings

    def may_hold_digit(self, word: str) -> bool:
        """Return whether letters with a digit among them are no word, but would be with a letter in its place."""
        return any(self._lexicon.known(each) for each in without_digit(word, self._below_digits)) and not (
            self._words.is_word(word)
        )

    def without_digit(self, word: str, typed: TypedText) -> list[Reading]:
        """Return the words that letters with a digit among them may have been."""
        readings = []
        for text in without_digit(word, self._below_digits):
            token = self.token(text, typed)
            if token is not None and self._lexicon.known(text) and self._lexicon.frequency(text) >= _LEAST_FOR_DIGIT:
                frequency = math.exp(self._words.log_frequency(text, self._nats_per_step))
                log_channel = math.log(self._options.hit_for_letter)
                readings.append(self.of_tokens(word, text, log_channel, (token,))._replace(frequency=frequency))
        return readings

    def joined(self, left: str, right: str, earlier: TypedText) -> list[Reading]:
        """Return what stands left and right of a space as two words and as one; nothing if that is no question.

        Args:
            left: what stands before the space.
            right: what stands behind it.
            earlier: the text before the space.
        """
        both = left + right
        if (
            not left
            or right != fold(right)
            or not self._lexicon.frequency(both)
            or self._lexicon.is_offensive(both)
            or (self._lexicon.known(left) and self._lexicon.known(right))
        ):
            return []
        first, whole = self.token(left, earlier), self.token(both, earlier)
        if first is None or whole is None:
            return []
        apart = f"{left} {right}"
        return [
            self.of_tokens(apart, apart, 0.0, (first, right)),
            self.of_tokens(apart, both, math.log(self._rates.stray_space), (whole,)),
        ]
