"""Training of the tokenizer: a weighted sample of lines, the table of proper nouns, and the SentencePiece model."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from keyboard_lm.errors import DataError
from keyboard_lm.text.form import JOIN, SPACE, TextForm
from keyboard_lm_training.corpus.shards import MAX_VOCAB_SIZE

MAX_LINE_CHARS = 4096  # bounds the memory of a sample; few messages are longer
MIN_VOCAB_SIZE = 400  # 256 byte pieces, 3 control pieces, the keys of a keyboard, and something to say
_DRAWS_AT_ONCE = 1 << 20
_REQUIRED_CHARS = JOIN + SPACE + "".join(map(chr, range(0x21, 0x7F)))  # every key of a keyboard is a piece at least


@dataclass(frozen=True, slots=True)
class TokenizerOptions:
    """How the tokenizer is trained.

    Attributes:
        vocab_size: number of pieces.
        sample_lines: messages it is trained on, drawn with the weights of the recipe.
        max_proper_nouns: size limit of the table of words that keep their capital.
        min_proper_noun_count: mid-sentence occurrences in the sample below which a word is not judged.
        character_coverage: share of the characters that get a piece of their own; the others are spelt in bytes.
        num_threads: threads of SentencePiece. They are part of the result: sums of floats depend on their number.
    """

    vocab_size: int = 8192
    sample_lines: int = 1_000_000
    max_proper_nouns: int = 20_000
    min_proper_noun_count: int = 5
    character_coverage: float = 0.99999  # 0.9995, SentencePiece's default, spells %, & and every emoji in bytes
    num_threads: int = 4

    def mistakes(self) -> list[str]:
        """Return what is wrong with the values, in words."""
        found = []
        if not MIN_VOCAB_SIZE <= self.vocab_size <= MAX_VOCAB_SIZE:
            found.append(
                f"vocab_size must be between {MIN_VOCAB_SIZE} and {MAX_VOCAB_SIZE} (ids are uint16),"
                f" not {self.vocab_size}"
            )
        for name in ("sample_lines", "min_proper_noun_count", "num_threads"):
            if getattr(self, name) < 1:
                found.append(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0.9 <= self.character_coverage <= 1:
            found.append(f"character_coverage must be between 0.9 and 1, not {self.character_coverage}")
        if self.max_proper_nouns < 0:
            found.append(f"max_proper_nouns must not be negative, not {self.max_proper_nouns}")
        return found


class MessageSample:
    """A weighted sample of numbered messages without replacement, in bounded memory.

    Source: Efraimidis and Spirakis 2006, "Weighted random sampling with a reservoir": keep the smallest
    ``Exponential(1) / weight``. Each message takes one draw, in their order, so the sample depends on nothing else.

    Args:
        size: messages to keep.
        rng: the source of randomness.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size = size
        self._rng = rng
        self._keys = np.zeros(0)
        self._numbers = np.zeros(0, np.int64)
        self._num_seen = 0

    def add(self, count: int, weight: float, too_long: Sequence[int] = ()) -> None:
        """Offer the next messages.

        Args:
            count: how many.
            weight: relative to that of the others.
            too_long: those of them, from 0, that must not be in the sample.
        """
        excluded = np.asarray(too_long, np.int64)
        for start in range(0, count, _DRAWS_AT_ONCE):
            keys = self._rng.exponential(size=min(_DRAWS_AT_ONCE, count - start)) / weight
            here = excluded[(excluded >= start) & (excluded < start + len(keys))] - start
            keys[here] = np.inf
            limit = self._keys.max() if len(self._keys) >= self._size else np.inf
            new = np.flatnonzero(keys < limit)
            self._keys = np.concatenate([self._keys, keys[new]])
            self._numbers = np.concatenate([self._numbers, new + start + self._num_seen])
            if len(self._keys) > self._size:
                kept = np.lexsort((self._numbers, self._keys))[: self._size]
                self._keys, self._numbers = self._keys[kept], self._numbers[kept]
        self._num_seen += count

    def numbers(self) -> npt.NDArray[np.int64]:
        """Return which messages are in the sample, in their order."""
        return np.sort(self._numbers)


def count_mid_sentence(lines: Iterable[str]) -> Counter[str]:
    """Count words that follow another word or a comma, where no sentence starts and a capital says something.

    Only words of letters (with an apostrophe part or without) in lower case or with one leading capital count.
    """
    form = TextForm()
    counts: Counter[str] = Counter()
    for line in lines:
        previous = ""
        for token in form.encode_tokens(line):
            if previous and (previous[-1].isalnum() or previous == ","):
                base = token.partition("'")[0]
                if base.isalpha() and token[1:] == token[1:].lower():
                    counts[token] += 1
            previous = token
    return counts


def choose_proper_nouns(counts: Counter[str], limit: int, min_count: int) -> list[str]:
    """Return the words that are capitalised more often than not, the most frequent first.

    A word with an apostrophe part (``Mary's``) is judged by its base (``Mary``).

    Args:
        counts: mid-sentence words by frequency, see `count_mid_sentence`.
        limit: length of the result at most.
        min_count: occurrences of the base, in either case, below which nothing is concluded.
    """
    total: Counter[str] = Counter()
    capitalised: Counter[str] = Counter()
    for word, count in counts.items():
        base = word.partition("'")[0].lower()
        total[base] += count
        if word[0].isupper():
            capitalised[base] += count
    nouns = []
    for word, count in counts.items():
        base = word.partition("'")[0].lower()
        if word[0].isupper() and base != "i" and total[base] >= min_count and 2 * capitalised[base] > total[base]:
            nouns.append((-count, word))
    return [word for _, word in islice(sorted(nouns), limit)]


def train_pieces(forms: Sequence[str], options: TokenizerOptions) -> bytes:
    """Train SentencePiece on lines of the text form and return the serialised model.

    Raises:
        DataError: there is too little text for the vocabulary size.
    """
    from sentencepiece import SentencePieceTrainer  # a compiled library that a reader of this module need not load

    model = io.BytesIO()
    try:
        SentencePieceTrainer.Train(
            sentence_iterator=iter(forms),
            model_writer=model,
            model_type="unigram",
            vocab_size=options.vocab_size,
            treat_whitespace_as_suffix=True,
            add_dummy_prefix=True,  # with white space as a suffix, this is the space after the last word
            remove_extra_whitespaces=True,
            split_by_unicode_script=False,  # keeps don't▁ in one piece
            normalization_rule_name="identity",
            byte_fallback=True,
            required_chars=_REQUIRED_CHARS,
            character_coverage=options.character_coverage,
            max_sentence_length=8 * MAX_LINE_CHARS,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            num_threads=options.num_threads,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "no text"
        raise DataError(
            f"the tokenizer cannot be trained with {options.vocab_size} pieces on {len(forms)} messages ({reason});"
            " lower --vocab-size or add text"
        ) from None
    return model.getvalue()
