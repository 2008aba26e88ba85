"""Words in prefix-space pieces, against exhaustive enumeration with the end of a word seen one piece later."""

from __future__ import annotations

import zlib
from collections import defaultdict
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.decoding.boundaries import Boundaries
from keyboard_lm.decoding.context import ContextCache
from keyboard_lm.decoding.inline import continuation
from keyboard_lm.decoding.next_letters import END, next_letters
from keyboard_lm.decoding.pieces import PieceTable
from keyboard_lm.decoding.search import SearchOptions, find_words
from keyboard_lm.decoding.word_boundary import PrefixSpace, SuffixSpace, word_boundary
from keyboard_lm.decoding.word_scores import WordScorer
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import TextForm, is_word

BOS = 1
PIECES = ["<unk>", "<s>", "</s>", "<0x0A>", "<0xC3>", "▁", "▁a", "▁b", "▁ab", "▁Ab", "▁(", "▁.", "a", "b", "ab", "aB",
          "'", "'a", ".", "!", "("]  # fmt: skip
OPEN, DOT, LETTER_A = PIECES.index("("), PIECES.index("."), PIECES.index("▁a")
MARKS = {"(", ".", "!", "'", "▁(", "▁."}
BOUNDARY = [i for i, piece in enumerate(PIECES) if piece[0] in "▁.!(" or piece in ("</s>", "<0x0A>")]
EXHAUSTIVE = SearchOptions(max_rounds=500, max_nodes=64, stop_ratio=0.0, negligible=0.0)
MAX_PIECES = 4


class PrefixTokenizer:
    """As much of a tokenizer as search asks for; words are written in single letters."""

    pieces = tuple(PIECES)
    vocab_size = len(PIECES)
    control_ids = frozenset({0, 1, 2})
    is_prefix_space = True
    byte_ids = frozenset({3, 4})
    bos_id, eos_id, message_end_id = 1, 2, 3
    form = TextForm()

    def encode_word(self, word: str) -> list[int]:
        return [PIECES.index("▁" + word[0]), *map(PIECES.index, word[1:])]

    def encode_tokens(self, tokens: list[str]) -> list[int]:
        return [piece for token in tokens for piece in self.encode_word(token)]


TOKENIZER = cast(Tokenizer, PrefixTokenizer())
TABLE = PieceTable(TOKENIZER)


def random_logits(seed: int, sharpness: float) -> Any:
    def next_logits(ids: tuple[int, ...]) -> Any:
        rng = np.random.default_rng([seed, zlib.crc32(repr(ids).encode())])
        logits = (rng.normal(size=len(PIECES)) * sharpness).astype(np.float32)
        if len(ids) >= MAX_PIECES:  # the frame is one of them
            logits[[i for i in range(len(PIECES)) if i not in BOUNDARY]] = -np.inf
        return logits

    return next_logits


def distribution(next_logits: Any, ids: tuple[int, ...]) -> Any:
    logits = next_logits(ids).astype(np.float64)
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def enumerate_words(next_logits: Any, context: tuple[int, ...], prefix: str, odds: float) -> dict[str, Any]:
    """Return the probability of every word that begins with the prefix: folded word -> as cased -> probability."""
    words: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def visit(ids: tuple[int, ...], text: str, mass: float) -> None:
        if not mass:
            return
        probabilities = distribution(next_logits, ids)
        if is_word(text) and text.lower().startswith(prefix.lower()):
            lacks = any(t.isupper() and t != c for t, c in zip(prefix, text, strict=False))
            words[text.lower()][text] += mass * probabilities[BOUNDARY].sum() * (odds if lacks else 1.0)
        for i, piece in enumerate(PIECES):
            if i not in BOUNDARY and not piece.startswith("<") and (text or piece[0] != "'") and len(ids) < 8:
                visit((*ids, i), text + piece, mass * probabilities[i])

    root = distribution(next_logits, context)
    may_begin = list(range(len(PIECES))) if PIECES[context[-1]][-1] in "(.!" else BOUNDARY
    total = root[may_begin].sum()
    for i in may_begin:
        text = PIECES[i].removeprefix("▁")
        if PIECES[i] not in MARKS and not PIECES[i].startswith("<") and text[:1] != "'":
            visit((*context, i), text, root[i] / total)
    return words


PREFIXES = st.sampled_from(["", "a", "b", "ab", "ba", "aba", "abab", "A", "aB", "B", "Ab", "a'", "x"])


@settings(max_examples=150)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 2.0, 5.0]), PREFIXES, st.sampled_from([BOS, OPEN, DOT]))
def test_an_exhaustive_search_equals_enumeration(
    toy_backend: Any, seed: int, sharpness: float, prefix: str, last: int
) -> None:
    next_logits = random_logits(seed, sharpness)
    cache = ContextCache(toy_backend(next_logits, len(PIECES)), words=word_boundary(TOKENIZER))
    context = (last,)
    result = find_words(TABLE, cache.at(context), prefix, 6, EXHAUSTIVE)
    words = enumerate_words(next_logits, context, prefix, EXHAUSTIVE.lower_case_odds)
    totals = sorted((-sum(variants.values()), word) for word, variants in words.items())[:6]
    assert [word.text.lower() for word in result.words] == [word for _, word in totals]
    assert [word.probability for word in result.words] == pytest.approx([-total for total, _ in totals], rel=1e-4)
    assert result.typed_probability == pytest.approx(sum(words.get(prefix.lower(), {}).values()), rel=1e-4)
    assert result.unexplored == pytest.approx(0, abs=1e-12)


@settings(max_examples=60)
@given(st.integers(0, 10_000), PREFIXES, st.integers(0, 3))
def test_no_word_is_more_probable_than_found_and_left_unexplored_together(
    toy_backend: Any, seed: int, prefix: str, rounds: int
) -> None:
    next_logits = random_logits(seed, 2.0)
    options = SearchOptions(max_rounds=rounds, max_nodes=6)
    backend = toy_backend(next_logits, len(PIECES))
    result = find_words(TABLE, ContextCache(backend, words=PrefixSpace(TOKENIZER)).at((BOS,)), prefix, 4, options)
    words = enumerate_words(next_logits, (BOS,), prefix, options.lower_case_odds)
    for word in result.words:
        true = sum(words[word.text.lower()].values())
        assert word.probability <= true * (1 + 1e-4)
        assert true <= (word.probability + result.unexplored) * (1 + 1e-4)
    assert len(backend.tree_sizes) == result.num_rounds <= rounds
    assert all(size <= options.max_nodes for size in backend.tree_sizes)


@pytest.fixture
def boundary(toy_backend: Any) -> Any:
    return ContextCache(toy_backend(random_logits(3, 1.0), len(PIECES)), words=PrefixSpace(TOKENIZER)).at((BOS,))


def test_scores_of_words_and_of_two_in_a_row_are_products_with_their_ends(boundary: Any) -> None:
    next_logits = random_logits(3, 1.0)
    scorer = WordScorer(TOKENIZER)
    begin = distribution(next_logits, (BOS,))
    after_a = distribution(next_logits, (BOS, LETTER_A))
    after_a_b = distribution(next_logits, (BOS, LETTER_A, PIECES.index("▁b")))
    first = begin[LETTER_A] / begin[BOUNDARY].sum()
    expected = [first * after_a[BOUNDARY].sum(), first * after_a[PIECES.index("▁b")] * after_a_b[BOUNDARY].sum()]
    boundary.expand([scorer.path(("a", "b"))])
    for words, probability in zip((("a",), ("a", "b")), expected, strict=True):
        path, product = scorer.path(words), 1.0
        for depth, piece in enumerate(path):
            product *= float(boundary.probabilities(path[:depth])[piece])
        assert product == pytest.approx(probability, rel=1e-4)


def test_what_follows_whole_words_is_found_behind_their_end(boundary: Any) -> None:
    path = WordScorer(TOKENIZER).path(("ab",))
    found = continuation(TABLE, boundary, path, max_nodes=32, num_words=3)
    again = ContextCache(boundary._cache.backend, words=PrefixSpace(TOKENIZER)).at((BOS, *path[:-1]))
    expected = find_words(TABLE, again, "", 3, SearchOptions(max_rounds=1, max_nodes=32))
    assert found == [(word.text, pytest.approx(word.probability, rel=1e-5)) for word in expected.words]


def test_next_letters_sum_to_one_and_know_the_end(boundary: Any) -> None:
    find_words(TABLE, boundary, "a", 6, EXHAUSTIVE)
    letters = next_letters(TABLE, boundary, "a")
    assert sum(letters.values()) == pytest.approx(1)
    assert letters[END] > 0
    assert set(letters) <= {"a", "b", "'", END}


def test_a_long_text_loses_its_oldest_words_whole(toy_backend: Any) -> None:
    boundaries = Boundaries(toy_backend(random_logits(0, 1.0), len(PIECES), capacity=40), TOKENIZER, max_nodes=16)
    ids = boundaries.ids(TOKENIZER.form.split_typed("ab bab " * 20))
    assert ids[0] == BOS
    assert len(ids) <= 24
    assert PIECES[ids[1]].startswith("▁")


def test_the_convention_is_read_from_the_pieces(toy_tokenizer: Any) -> None:
    assert isinstance(word_boundary(TOKENIZER), PrefixSpace)
    assert isinstance(word_boundary(toy_tokenizer(["going"]).as_tokenizer()), SuffixSpace)


@pytest.mark.parametrize("last", [i for i, piece in enumerate(PIECES) if not piece.startswith("<")])
def test_only_behind_a_mark_may_a_word_begin_without_its_space(last: int) -> None:
    given_there = PrefixSpace(TOKENIZER).first(np.zeros(len(PIECES), np.float32), last)
    letters = [i for i, piece in enumerate(PIECES) if piece[0] in "ab"]
    assert (given_there[letters] > 0).all() == (PIECES[last] in MARKS)
    assert (given_there[letters] > 0).any() == (PIECES[last] in MARKS)
    assert given_there.sum() == pytest.approx(1)


@pytest.mark.parametrize("most_nodes", [3, 4, 7])
def test_words_further_ahead_take_two_calls_at_most_and_none_over_the_most_nodes(
    toy_backend: Any, most_nodes: int
) -> None:
    path = PrefixSpace(TOKENIZER).path(TOKENIZER, ["ab"])
    for seed in range(8):
        for num_before in (1, 8, 9, 20):  # 9 tokens and the frame fill the window
            backend = toy_backend(random_logits(seed, 0.5), len(PIECES), capacity=10 + most_nodes)
            boundaries = Boundaries(backend, TOKENIZER, most_nodes)
            boundary = boundaries.at(TOKENIZER.form.split_typed("a " * num_before))
            found = continuation(boundaries.table, boundary, path, most_nodes, 6)
            assert found is not None
            assert found or most_nodes < 7  # with few nodes nothing is left for words behind the path
            assert len(backend.tree_sizes) <= 2
            assert max(backend.tree_sizes) <= most_nodes
