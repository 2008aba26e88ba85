"""Tests for keyboard_lm.word_scores."""

from __future__ import annotations

from typing import Any

import pytest

from keyboard_lm.context import Boundary, ContextCache
from keyboard_lm.word_scores import WordScorer

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
    probabilities = WordScorer(toy).probabilities(boundary, [("the",), ("in",)])
    assert probabilities == pytest.approx([0.5, 0.1])
    assert backend.tree_sizes == []


def test_a_word_of_several_pieces_has_the_product_of_their_probabilities(toy: Any) -> None:
    boundary, backend = _boundary(toy)
    probabilities = WordScorer(toy).probabilities(boundary, [("teh",), ("the",)])
    assert probabilities == pytest.approx([0.2 * 0.3 * 0.5 * 0.25, 0.5])
    assert backend.tree_sizes == [3]


def test_two_words_are_one_path(toy: Any) -> None:
    boundary, backend = _boundary(toy)
    assert WordScorer(toy).probabilities(boundary, [("in", "the")]) == pytest.approx([0.1 * 0.8])
    assert backend.tree_sizes == [1]


def test_before_a_call_a_word_is_bounded_by_its_first_pieces(toy: Any) -> None:
    boundary, _ = _boundary(toy)
    scorer = WordScorer(toy)
    bounds, is_exact = scorer.look(boundary, [("teh",), ("the",)])
    assert bounds == pytest.approx([0.2, 0.5])
    assert is_exact.tolist() == [False, True]
    scorer.probabilities(boundary, [("teh",)])
    assert scorer.look(boundary, [("teh",)])[1].all()


def test_what_one_call_has_no_room_for_waits_for_the_next(toy: Any) -> None:
    boundary, backend = _boundary(toy)
    scorer = WordScorer(toy, max_nodes=3)
    words = [("teh",), ("in", "the")]
    assert scorer.probabilities(boundary, words).tolist() == pytest.approx([0.2 * 0.3 * 0.5 * 0.25, 0.0])
    assert scorer.probabilities(boundary, words)[1] == pytest.approx(0.08)
    assert backend.tree_sizes == [3, 1]


def test_a_word_too_long_for_any_call_is_never_scored(toy: Any) -> None:
    boundary, backend = _boundary(toy)
    assert WordScorer(toy, max_nodes=2).probabilities(boundary, [("teh",)], max_calls=3).tolist() == [0.0]
    assert backend.tree_sizes == []


def test_no_token_has_no_probability(toy: Any) -> None:
    boundary, _ = _boundary(toy)
    assert WordScorer(toy).probabilities(boundary, [()]).tolist() == [0.0]
