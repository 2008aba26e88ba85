"""Word search against exhaustive enumeration, on toy networks and toy piece inventories."""

from __future__ import annotations

import zlib
from collections import defaultdict
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.decoding.context import ContextCache
from keyboard_lm.decoding.pieces import PieceTable
from keyboard_lm.decoding.search import SearchOptions, best_of, find_words
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import is_word

BYTES = [f"<0x{value:02X}>" for value in range(256)]
FRAME = ["<unk>", "<s>", "</s>"]
BOS = (1,)
SINGLE = [*FRAME, "a", "b", "c", "a▁", "b▁", "c▁", ".▁", "⁀"]  # one way to spell each word
MANY = [*FRAME, "a", "b", "ab", "aB", "▁", "a▁", "b▁", "ab▁", "ba▁", "Ab▁", "'", "'a▁", "!▁", "(␣▁", "␣"]
EXHAUSTIVE = SearchOptions(max_rounds=500, max_nodes=64, stop_ratio=0.0, negligible=0.0)
MAX_PIECES = 3


def make_table(pieces: list[str]) -> PieceTable:
    tokenizer = SimpleNamespace(
        pieces=tuple(pieces),
        is_prefix_space=False,
        control_ids=frozenset(i for i, piece in enumerate(pieces) if piece in FRAME),
        byte_ids=frozenset(i for i, piece in enumerate(pieces) if piece in BYTES),
        eos_id=pieces.index("</s>"),
    )
    return PieceTable(cast(Tokenizer, tokenizer))


def random_logits(pieces: list[str], seed: int, sharpness: float) -> Any:
    """Return a network that draws each distribution from its path; a word ends after `MAX_PIECES` pieces at most."""
    opens = [i for i, piece in enumerate(pieces) if not piece.endswith("▁")]

    def next_logits(ids: tuple[int, ...]) -> Any:
        rng = np.random.default_rng([seed, zlib.crc32(repr(ids).encode())])
        logits = (rng.normal(size=len(pieces)) * sharpness).astype(np.float32)
        if len(ids) >= MAX_PIECES:  # <s> is one of them
            logits[opens] = -np.inf
        return logits

    return next_logits


def enumerate_words(pieces: list[str], next_logits: Any, prefix: str, odds: float) -> dict[str, dict[str, float]]:
    """Return the probability of every word that begins with the prefix: folded word -> as cased -> probability."""
    words: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def visit(ids: tuple[int, ...], text: str, mass: float) -> None:
        logits = next_logits(ids).astype(np.float64)
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        for i, piece in enumerate(pieces):
            if piece in FRAME or set(piece) & set("⁀␣.!(") or not probabilities[i] > 0:
                continue
            longer = text + piece.removesuffix("▁")
            if piece.endswith("▁"):
                if is_word(longer) and longer.lower().startswith(prefix.lower()):
                    lacks = any(t.isupper() and t != c for t, c in zip(prefix, longer, strict=False))
                    words[longer.lower()][longer] += mass * probabilities[i] * (odds if lacks else 1.0)
            elif longer[0] != "'":
                visit((*ids, i), longer, mass * probabilities[i])

    visit(BOS, "", 1.0)
    return words


def ranked(words: dict[str, dict[str, float]], num: int) -> list[tuple[str, float]]:
    totals = sorted((-sum(variants.values()), word) for word, variants in words.items())[:num]
    return [(min(words[word], key=lambda text: (-words[word][text], text)), -total) for total, word in totals]


PREFIXES = st.sampled_from(["", "a", "b", "ab", "ba", "aba", "abab", "A", "aB", "B", "Ab", "a'", "c", "x"])
SEEDS = st.integers(0, 10_000)
SHARPNESS = st.sampled_from([0.5, 2.0, 5.0])


@settings(max_examples=150)
@given(st.sampled_from([SINGLE, MANY]), SEEDS, SHARPNESS, PREFIXES)
def test_an_exhaustive_search_equals_enumeration(
    toy_backend: Any, pieces: list[str], seed: int, sharpness: float, prefix: str
) -> None:
    next_logits = random_logits(pieces, seed, sharpness)
    result = find_words(
        make_table(pieces), ContextCache(toy_backend(next_logits, len(pieces))).at(BOS), prefix, 6, EXHAUSTIVE
    )
    words = enumerate_words(pieces, next_logits, prefix, EXHAUSTIVE.lower_case_odds)
    expected = ranked(words, 6)
    assert [word.text for word in result.words] == [text for text, _ in expected]
    assert [word.probability for word in result.words] == pytest.approx([mass for _, mass in expected], rel=1e-4)
    assert result.typed_probability == pytest.approx(sum(words.get(prefix.lower(), {}).values()), rel=1e-4)
    assert result.unexplored == pytest.approx(0, abs=1e-12)


@settings(max_examples=150)
@given(SEEDS, SHARPNESS, PREFIXES, st.integers(1, 5))
def test_where_a_word_has_one_spelling_the_stop_loses_nothing(
    toy_backend: Any, seed: int, sharpness: float, prefix: str, num_words: int
) -> None:
    next_logits = random_logits(SINGLE, seed, sharpness)
    options = SearchOptions(max_rounds=100, negligible=0.0)
    result = find_words(
        make_table(SINGLE), ContextCache(toy_backend(next_logits, len(SINGLE))).at(BOS), prefix, num_words, options
    )
    words = enumerate_words(SINGLE, next_logits, prefix, options.lower_case_odds)
    expected = ranked(words, num_words)
    assert [word.text for word in result.words] == [text for text, _ in expected]
    assert [word.probability for word in result.words] == pytest.approx([mass for _, mass in expected], rel=1e-4)


@settings(max_examples=150)
@given(SEEDS, SHARPNESS, PREFIXES, st.integers(0, 3), st.sampled_from([0.0, 0.3, 1.0]))
def test_probabilities_are_bounded_by_what_was_left_unexplored(
    toy_backend: Any, seed: int, sharpness: float, prefix: str, rounds: int, stop_ratio: float
) -> None:
    next_logits = random_logits(MANY, seed, sharpness)
    options = SearchOptions(max_rounds=rounds, max_nodes=4, stop_ratio=stop_ratio)
    backend = toy_backend(next_logits, len(MANY))
    result = find_words(make_table(MANY), ContextCache(backend).at(BOS), prefix, 4, options)
    words = enumerate_words(MANY, next_logits, prefix, options.lower_case_odds)
    for word in result.words:
        true = sum(words[word.text.lower()].values())
        assert word.probability <= true * (1 + 1e-4)
        assert true <= (word.probability + result.unexplored) * (1 + 1e-4)
    total = sum(mass for variants in words.values() for mass in variants.values())
    assert total <= (result.prefix_probability + result.unexplored) * (1 + 1e-4)
    assert len(backend.tree_sizes) == result.num_rounds <= rounds
    assert all(size <= options.max_nodes for size in backend.tree_sizes)
    assert backend.ids == BOS


def fixed(pieces: list[str], **by_path: dict[str, float]) -> Any:
    """Return a network of given probabilities: pieces so far joined by ``_`` (or ``root``) -> piece -> probability."""

    def next_logits(ids: tuple[int, ...]) -> Any:
        path = "_".join(pieces[i].replace("▁", "E") for i in ids[1:]) or "root"
        with np.errstate(divide="ignore"):
            return np.log(np.array([by_path.get(path, {"</s>": 1.0}).get(piece, 0.0) for piece in pieces], np.float32))

    return next_logits


WORDS = [*FRAME, "going▁", "Goa▁", "go▁", "go", "g", "ing▁", "ne▁", "I'm▁", "us▁", "US▁", ".▁", "😂▁", "xD▁", "3▁"]
ROOT_MASSES = {"going▁": 0.3, "go▁": 0.2, "Goa▁": 0.06, "go": 0.04, "I'm▁": 0.1, "us▁": 0.02, "US▁": 0.03, ".▁": 0.15}
AFTER_GO = {"ing▁": 0.5, "ne▁": 0.5}


@pytest.fixture
def boundary(toy_backend: Any) -> Any:
    return ContextCache(toy_backend(fixed(WORDS, root=ROOT_MASSES | {"😂▁": 0.1}, go=AFTER_GO), len(WORDS))).at(BOS)


def suggest(boundary: Any, prefix: str, num_words: int = 3, **options: Any) -> list[tuple[str, float]]:
    result = find_words(make_table(WORDS), boundary, prefix, num_words, SearchOptions(**options))
    return [(word.text, round(word.probability, 4)) for word in result.words]


def test_only_words_are_offered(boundary: Any) -> None:
    assert suggest(boundary, "", num_words=10, negligible=0.0) == [
        ("going", 0.32), ("go", 0.2), ("I'm", 0.1), ("Goa", 0.06), ("US", 0.05), ("gone", 0.02)
    ]  # fmt: skip


def test_a_call_is_filled_to_the_last_node(toy_backend: Any) -> None:
    backend = toy_backend(random_logits(SINGLE, 1, 1.0), len(SINGLE))
    options = SearchOptions(max_rounds=1, max_nodes=2, stop_ratio=0.0, negligible=0.0)
    find_words(make_table(SINGLE), ContextCache(backend).at(BOS), "", 100, options)
    assert backend.tree_sizes == [2]  # of three that go on, all of one piece


def test_what_is_in_the_first_distribution_costs_no_call(boundary: Any) -> None:
    assert suggest(boundary, "", num_words=2) == [("going", 0.3), ("go", 0.2)]
    assert suggest(boundary, "u") == [("US", 0.05)]
    assert suggest(boundary, "i") == [("I'm", 0.1)]
    assert boundary._cache.backend.tree_sizes == []


def test_a_typed_small_letter_matches_capitals_and_a_typed_capital_prefers_them(boundary: Any) -> None:
    assert [text for text, _ in suggest(boundary, "go", stop_ratio=0.0)] == ["going", "go", "Goa"]
    assert suggest(boundary, "Go", stop_ratio=0.0) == [("Goa", 0.06), ("going", 0.016), ("go", 0.01)]
    assert suggest(boundary, "Us") == [("US", 0.031)]


def test_spellings_with_and_without_the_whole_piece_are_added_up(boundary: Any) -> None:
    assert suggest(boundary, "goi", negligible=0.0) == [("going", 0.32)]
    assert suggest(boundary, "gon") == [("gone", 0.02)]


def test_the_typed_word_and_the_prefix_are_measured(boundary: Any) -> None:
    result = find_words(make_table(WORDS), boundary, "go")
    assert result.typed_probability == pytest.approx(0.2)
    assert result.prefix_probability == pytest.approx(0.3 + 0.2 + 0.06 + 0.04)
    assert find_words(make_table(WORDS), boundary, "zzz").words == ()


def test_letters_without_a_piece_are_spelled_in_bytes(toy_backend: Any) -> None:
    pieces = [*FRAME, "na", "ve▁", "▁", "n", *BYTES]
    path = "na_<0xC3>_<0xAF>"
    net = fixed(
        pieces,
        root={"na": 0.5, "</s>": 0.5},
        na={"<0xC3>": 0.5, "ve▁": 0.5},
        **{"na_<0xC3>": {"<0xAF>": 0.5, "<0xA9>": 0.5}, path: {"ve▁": 0.8, "▁": 0.2}},
    )
    boundary = ContextCache(toy_backend(net, len(pieces))).at(BOS)
    result = find_words(make_table(pieces), boundary, "naï")
    assert [word.text for word in result.words] == ["naïve", "naï"]
    assert [word.probability for word in result.words] == pytest.approx([0.1, 0.025])
    assert result.prefix_probability == pytest.approx(0.125)
    assert [word.text for word in find_words(make_table(pieces), boundary, "na").words] == ["nave"]


@pytest.mark.parametrize("prefix", ["привет", "你好", "π" * 500, "\u200d", "é", "ß", "İ"])
def test_other_scripts_never_fail(toy_backend: Any, prefix: str) -> None:
    for pieces in ([*SINGLE, *BYTES], SINGLE):
        net = random_logits(pieces, 1, 1.0)
        boundary = ContextCache(toy_backend(net, len(pieces))).at(BOS)
        result = find_words(make_table(pieces), boundary, prefix)
        assert all(fold(word.text).startswith(fold(prefix)) for word in result.words)


@given(st.text())
def test_fold_keeps_the_length_and_is_idempotent(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


def test_the_table_leaves_out_what_no_word_is_written_with() -> None:
    table = make_table([*WORDS, "⁀▁", ".⁀▁", "␣▁", "'s▁", "'", "a.", "-", "▁", *BYTES])
    assert table.ends.texts == ("", "'s", "3", "go", "Goa", "going", "I'm", "ing", "ne", "US", "us", "xD")
    assert [text for text, begins in zip(table.ends.texts, table.ends.may_begin, strict=True) if not begins] == [
        "", "'s", "xD"
    ]  # fmt: skip
    assert table.opens.texts == ("'", "a.", "g", "go")
    assert table.opens.may_begin.tolist() == [False, True, True, True]
    assert table.byte_ids[0x41] == len(WORDS) + 8 + 0x41


@settings(max_examples=50)
@given(st.sampled_from([SINGLE, MANY]), st.integers(0, 5), st.sampled_from("abAB'"))
def test_pieces_differ_where_they_have_another_character(pieces: list[str], place: int, char: str) -> None:
    table = make_table(pieces)
    for each in (table.ends, table.opens):
        everywhere = slice(0, len(each.texts))
        differs = each.differs_at(everywhere, place, char)
        expected = [len(text) > place and text[place] != char for text in each.texts]
        assert (differs.tolist() if differs is not None else [False] * len(expected)) == expected


@given(st.dictionaries(st.integers(0, 9), st.integers(0, 3), max_size=12), st.integers(0, 6))
def test_the_best_pieces_are_those_of_most_mass_and_of_equal_ones_the_first(found: dict[int, int], num: int) -> None:
    pieces = [(piece, float(mass)) for piece, mass in found.items()]
    expected = sorted(pieces, key=lambda pair: (-pair[1], pair[0]))[:num]
    assert sorted(best_of(pieces, num)) == sorted(expected)
