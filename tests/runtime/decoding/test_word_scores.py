"""Tests for keyboard_lm.decoding.word_scores."""

from __future__ import annotations

from typing import Any

import pytest

from keyboard_lm.decoding.context import Boundary, ContextCache
from keyboard_lm.decoding.word_scores import WordScorer

_NEXT = {
    "": {"the▁": 0.5, "t": 0.2, "in▁": 0.1},
    "t": {"e": 0.3, "h": 0.4},
    "t e": {"h": 0.5},
    "t e h": {"▁": 0.25},
    "in▁": {"the▁": 0.8},
}


@pytest.fixture
def toy(toy_tokenizer: Any) -> Any:
    return toy_tokenizer(["the", "in"])


def _boundary(toy: Any) -> tuple[Boundary, Any]:
    backend = toy.network(_NEXT)
    return ContextCache(backend).at((toy.bos_id,)), backend


def test_a_word_of_one_piece_takes_no_call(toy: Any) -> None:
    boundary, backend = _boundary(toy)
    assert WordScorer(toy).ask(boundary, [("the",), ("in",)]) == [(0.5, True), (pytest.approx(0.1), True)]
    assert backend.tree_sizes == []


def test_a_word_of_several_pieces_has_the_product_of_their_probabilities(toy: Any) -> None:
    boundary, backend = _boundary(toy)
    scores = WordScorer(toy).ask(boundary, [("teh",), ("the",)])
    assert scores == [(pytest.approx(0.2 * 0.3 * 0.5 * 0.25), True), (0.5, True)]
    assert backend.tree_sizes == [3]


def test_two_words_are_one_path(toy: Any) -> None:
    boundary, backend = _boundary(toy)
    assert WordScorer(toy).ask(boundary, [("in", "the")]) == [(pytest.approx(0.1 * 0.8), True)]
    assert backend.tree_sizes == [1]


def test_before_a_call_a_word_is_bounded_by_its_first_piece(toy: Any) -> None:
    boundary, backend = _boundary(toy)
    assert WordScorer(toy).look(boundary, [("teh",), ("the",)]) == [(pytest.approx(0.2), False), (0.5, True)]
    assert backend.tree_sizes == []


def test_a_call_is_made_once_and_counted_twice(toy: Any) -> None:
    boundary, backend = _boundary(toy)
    scorer = WordScorer(toy, max_nodes=3)
    words = [("teh",), ("in", "the")]
    first = scorer.ask(boundary, words)
    assert [score.is_exact for score in first] == [True, False]  # no room for the second
    assert scorer.ask(boundary, words) == first
    assert scorer.look(boundary, words) == WordScorer(toy).look(_boundary(toy)[0], words)
    assert backend.tree_sizes == [3]
    both = scorer.ask(boundary, words, max_calls=2)
    assert both == [first[0], (pytest.approx(0.08), True)]
    assert backend.tree_sizes == [3, 1]


def test_a_word_too_long_for_any_call_is_never_scored(toy: Any) -> None:
    boundary, backend = _boundary(toy)
    assert WordScorer(toy, max_nodes=2).ask(boundary, [("teh",)], max_calls=3)[0].is_exact is False
    assert backend.tree_sizes == []


def test_no_token_has_no_probability(toy: Any) -> None:
    boundary, _ = _boundary(toy)
    assert WordScorer(toy).ask(boundary, [()]) == [(0.0, False)]
