"""Training of the tokenizer: a weighted sample of lines, the table of proper nouns, and the SentencePiece model."""

from __future__ import annotations

import heapq
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TypeVar

import numpy as np

from keyboard_lm.errors import DataError
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import JOIN, SPACE, TextForm
from keyboard_lm_training.corpus.parallel import Workers
from keyboard_lm_training.corpus.shards import MAX_VOCAB_SIZE

MAX_LINE_CHARS = 4096  # bounds the memory of a sample; few messages are longer
MIN_VOCAB_SIZE = 400  # 256 byte pieces, 3 control pieces, the keys of a keyboard, and something to say
_LINES_PER_TASK = 20_000
_REQUIRED_CHARS = JOIN + SPACE + "".join(map(chr, range(0x21, 0x7F)))  # every key of a keyboard is a piece at least

Progress = Callable[[str, int, int | None], None]
Result = TypeVar("Result")


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


class LineSample:
    """A weighted reservoir sample without replacement, in bounded memory.

    Source: Efraimidis and Spirakis 2006, "Weighted random sampling with a reservoir": keep the smallest
    ``Exponential(1) / weight``.

    Args:
        size: lines to keep.
        rng: the source of randomness.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size = size
        self._rng = rng
        self._heap: list[tuple[float, int, str]] = []  # (-key, order of arrival, line): the largest key on top
        self._num_seen = 0

    def add(self, lines: Sequence[str], weight: float) -> None:
        """Offer lines; `weight` is relative to that of the other lines."""
        keys = self._rng.exponential(size=len(lines)) / weight
        limit = -self._heap[0][0] if len(self._heap) == self._size else np.inf
        for index in np.flatnonzero(keys < limit).tolist():
            line = lines[index]
            if len(line) > MAX_LINE_CHARS:
                continue
            entry = (-float(keys[index]), self._num_seen + index, line)
            if len(self._heap) < self._size:
                heapq.heappush(self._heap, entry)
            else:
                heapq.heappushpop(self._heap, entry)
        self._num_seen += len(lines)

    def lines(self) -> list[str]:
        """Return the sample in order of arrival."""
        return [line for _, _, line in sorted(self._heap, key=lambda entry: entry[1])]


def train_tokenizer(
    lines: Sequence[str], options: TokenizerOptions, workers: Workers, on_progress: Progress | None = None
) -> Tokenizer:
    """Learn the proper nouns and the pieces from a sample of messages.

    Args:
        lines: messages that `keyboard_lm.text.form.normalise` has already seen.
        options: sizes.
        workers: convert to the text form; the result does not depend on their number.
        on_progress: called with (stage, lines done, lines in all).

    Raises:
        DataError: there is too little text for the vocabulary size.
    """
    batches = [lines[i : i + _LINES_PER_TASK] for i in range(0, len(lines), _LINES_PER_TASK)]

    def report(stage: str, results: Iterable[Result]) -> Iterator[Result]:
        for index, result in enumerate(results, 1):
            if on_progress:
                on_progress(stage, min(index * _LINES_PER_TASK, len(lines)), len(lines))
            yield result

    counts: Counter[str] = Counter()
    for part in report("learning proper nouns", workers.map(count_mid_sentence, batches)):
        counts.update(part)
    nouns = choose_proper_nouns(counts, options.max_proper_nouns, options.min_proper_noun_count)
    forms: list[str] = []
    for encoded in report("writing the text form", workers.map(_EncodeForms(nouns), batches)):
        forms.extend(encoded)
    return Tokenizer(train_pieces(forms, options), nouns)


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


@dataclass(frozen=True)
class _EncodeForms:
    nouns: list[str]

    @cached_property
    def _form(self) -> TextForm:
        return TextForm(self.nouns)

    def __call__(self, lines: Sequence[str]) -> list[str]:
        return [self._form.encode(line) for line in lines]
