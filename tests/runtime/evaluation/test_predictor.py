"""The predictor on a toy network: what the bar shows, what it means, and that caching changes nothing."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.decoding.search import SearchOptions
from keyboard_lm.errors import ConfigError
from keyboard_lm.evaluation.predictor import Predictor, PredictorOptions

TOKENS = ["I", "am", "going", "gone", "go", "to", "Mary", "market", "hello", "how", "it", "the", ".", "don't"]
NETWORK = {
    "": {"I▁": 0.3, "hello▁": 0.2, "it▁": 0.1, "Mary▁": 0.1, "market▁": 0.05},
    "I▁": {"am▁": 0.5, "don't▁": 0.1},
    "I▁ am▁": {"going▁": 0.3, "gone▁": 0.1, "go▁": 0.1, "g": 0.02, "the▁": 0.05, ".▁": 0.2},
    "I▁ am▁ going▁": {"to▁": 0.6, "the▁": 0.1, ".▁": 0.3},
    "I▁ am▁ go▁": {"the▁": 0.4},
    "hello▁ .▁": {"how▁": 0.6, "I▁": 0.2, "Mary▁": 0.1},
    "hello▁": {"Mary▁": 0.2, "market▁": 0.3, ".▁": 0.2},
    "I▁ am▁ q ▁": {"the▁": 0.7},
}


@pytest.fixture
def predictor(toy_tokenizer: Any) -> Predictor:
    tokenizer = toy_tokenizer(TOKENS, ["Mary"])
    return Predictor(tokenizer.network(NETWORK), tokenizer.as_tokenizer())


def bar(predictor: Predictor, text: str) -> list[tuple[str, float]]:
    return [(item.text, round(item.probability, 4)) for item in predictor.suggest(text).items]


def kinds(predictor: Predictor, text: str) -> set[str]:
    return {item.kind for item in predictor.suggest(text).items}


@pytest.mark.parametrize("text", ["I am going ", "I am going", "I am  going  ", "i am going"])
def test_next_words_follow_a_space_and_a_finished_word(predictor: Predictor, text: str) -> None:
    if text[0] == "I":  # a small "i" is another token, of which this network knows nothing
        assert bar(predictor, text) == [("to", 0.6), ("the", 0.1)]
    assert kinds(predictor, text) <= {"next_word"}


def test_a_completion_is_renormalised_over_the_words_with_the_prefix(predictor: Predictor) -> None:
    # 0.3 + 0.1 + 0.1 for going, gone, go, and 0.02 for whatever begins with the piece "g"
    assert bar(predictor, "I am g") == [("going", round(0.3 / 0.52, 4)), ("go", 0.1923), ("gone", 0.1923)]
    assert bar(predictor, "I am goi") == [("going", 1.0)]
    assert kinds(predictor, "I am goi") == {"completion"}


def test_a_word_is_finished_when_it_is_likelier_than_all_longer_ones(toy_tokenizer: Any, predictor: Predictor) -> None:
    assert kinds(predictor, "I am go") == {"completion"}  # 0.1 against 0.4
    tokenizer = toy_tokenizer(TOKENS)
    lenient = Predictor(tokenizer.network(NETWORK), tokenizer.as_tokenizer(), PredictorOptions(finished_ratio=0.25))
    assert bar(lenient, "I am go") == [("the", 0.4)]


def test_the_typed_word_itself_is_not_offered(predictor: Predictor) -> None:
    assert bar(predictor, "I am go") == [("going", 0.6), ("gone", 0.2)]


def test_letters_that_begin_no_known_word_count_as_a_word(predictor: Predictor) -> None:
    assert bar(predictor, "I am q") == [("the", 0.7)]
    assert kinds(predictor, "I am q") == {"next_word"}


def test_sentence_starts_are_shown_with_a_capital(predictor: Predictor) -> None:
    assert bar(predictor, "")[:2] == [("I", 0.3), ("Hello", 0.2)]
    assert bar(predictor, "Hello.") == bar(predictor, "Hello. ") == [("How", 0.6), ("I", 0.2), ("Mary", 0.1)]
    assert bar(predictor, "Hello") == [("market", 0.3), ("Mary", 0.2)]


def test_a_capital_at_a_sentence_start_means_nothing_and_elsewhere_prefers_capitals(predictor: Predictor) -> None:
    assert bar(predictor, "M") == [("Mary", 0.6667), ("Market", 0.3333)]
    assert bar(predictor, "m") == [("Mary", 0.6667), ("market", 0.3333)]
    assert bar(predictor, "hello m") == [("market", 0.6), ("Mary", 0.4)]
    odds = 0.3 * SearchOptions().lower_case_odds
    assert bar(predictor, "hello M") == [
        ("Mary", round(0.2 / (0.2 + odds), 4)),
        ("Market", round(odds / (0.2 + odds), 4)),
    ]
    assert [text for text, _ in bar(predictor, "hello MA")] == ["MARKET", "MARY"]


def test_each_line_is_a_message_of_its_own(predictor: Predictor) -> None:
    assert bar(predictor, "Something\nI am goi") == [("going", 1.0)]
    assert bar(predictor, "I am\n")[0] == ("I", 0.3)


EDITS = st.lists(st.sampled_from(["i", "am ", "going", " ", ".", "\n", "I", "M", "'", "don't", "<", "<<"]), max_size=20)


@settings(max_examples=40)
@given(EDITS)
def test_a_bar_does_not_depend_on_what_was_asked_before(toy_tokenizer: Any, edits: list[str]) -> None:
    tokenizer = toy_tokenizer(TOKENS, ["Mary"])
    kept = Predictor(tokenizer.random_network(3), tokenizer.as_tokenizer())
    text = ""
    for edit in edits:
        text = text[: -len(edit)] if edit[0] == "<" else text + edit
        items = kept.suggest(text).items
    fresh = Predictor(tokenizer.random_network(3), tokenizer.as_tokenizer())
    assert not edits or items == fresh.suggest(text).items


@settings(max_examples=100)
@given(st.text(max_size=30))
def test_any_text_gets_an_answer(toy_tokenizer: Any, text: str) -> None:
    tokenizer = toy_tokenizer(TOKENS)
    predictor = Predictor(tokenizer.random_network(1, capacity=40), tokenizer.as_tokenizer())
    items = predictor.suggest(text).items
    assert all(0 < item.probability <= 1 for item in items)
    assert len({item.text for item in items}) == len(items) <= 3


def test_a_letter_inside_a_word_costs_no_network_call(predictor: Predictor) -> None:
    network = predictor._boundaries.cache.backend
    predictor.suggest("I am ")
    fed, trees = network.num_fed, len(network.tree_sizes)  # type: ignore[attr-defined]
    predictor.suggest("I am t")
    predictor.suggest("I am th")
    predictor.suggest("I am t")
    assert network.num_fed == fed == 3  # type: ignore[attr-defined]
    assert len(network.tree_sizes) == trees  # type: ignore[attr-defined]


def test_a_branch_is_scored_once_per_word(predictor: Predictor) -> None:
    network = predictor._boundaries.cache.backend
    predictor.suggest("I am gx")
    trees = len(network.tree_sizes)  # type: ignore[attr-defined]
    assert trees == 1  # what may follow the piece "g"
    predictor.suggest("I am g")
    predictor.suggest("I am gx")
    assert len(network.tree_sizes) == trees  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["word " * 20_000, "x" * 100_000, "π" * 100_000, "hi\n" * 30_000, "😂" * 25_000])
def test_long_texts_fit(toy_tokenizer: Any, text: str) -> None:
    tokenizer = toy_tokenizer(TOKENS)
    network = tokenizer.random_network(1, capacity=64)
    assert Predictor(network, tokenizer.as_tokenizer()).suggest(text).items
    assert network.length <= 64 - SearchOptions().max_nodes


def test_a_cache_without_room_for_text_is_refused(toy_tokenizer: Any) -> None:
    tokenizer = toy_tokenizer(TOKENS)
    with pytest.raises(ConfigError, match="no room"):
        Predictor(tokenizer.random_network(1, capacity=17), tokenizer.as_tokenizer())


def test_the_parts_of_the_time_add_up(toy_tokenizer: Any) -> None:
    tokenizer = toy_tokenizer(TOKENS)
    ticks = count()
    predictor = Predictor(tokenizer.network(NETWORK), tokenizer.as_tokenizer(), clock=lambda: next(ticks) / 1000)
    before = next(ticks)
    timings = predictor.suggest("I am ").timings
    # a tick at: the start, tokenized, prefill begun and done, the end; 1 ms each
    assert next(ticks) - before == 6
    assert (timings.tokenize_ms, timings.forward_ms, timings.search_ms) == pytest.approx((1, 1, 2))
