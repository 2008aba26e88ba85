"""The context cache against fresh computation, and the window's laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.decoding.context import ContextCache, ContextWindow
from keyboard_lm.decoding.word_boundary import softmax
from keyboard_lm.device.budget import CallCost
from keyboard_lm.device.turn import Turn
from keyboard_lm.errors import ContextLengthError

IDS = st.lists(st.integers(3, 6), min_size=1, max_size=6)
PATHS = st.lists(st.lists(st.integers(3, 6), min_size=1, max_size=3).map(tuple), min_size=1, max_size=4)


@settings(max_examples=100)
@given(st.lists(st.tuples(IDS, st.none() | PATHS), min_size=1, max_size=12))
def test_every_answer_is_what_a_fresh_cache_gives(toy_tokenizer: Any, steps: list[Any]) -> None:
    tokenizer = toy_tokenizer(["a", "b", "c"])
    cache = ContextCache(tokenizer.random_network(0), num_remembered=2)
    for ids, paths in steps:
        boundary = cache.at([1, *ids])
        fresh = tokenizer.random_network(0)
        assert np.array_equal(boundary.probabilities(), softmax(fresh.prefill([1, *ids])))
        if paths:
            boundary.expand(paths)
            for path in paths:
                assert np.array_equal(boundary.probabilities(path), softmax(fresh.prefill([1, *ids, *path])))


@settings(max_examples=50)
@given(IDS, IDS, PATHS)
def test_an_old_boundary_can_still_be_expanded(
    toy_tokenizer: Any, first: list[int], second: list[int], paths: Any
) -> None:
    tokenizer = toy_tokenizer(["a", "b", "c"])
    cache = ContextCache(tokenizer.random_network(0))
    boundary = cache.at([1, *first])
    cache.at([1, *second])
    boundary.expand(paths)
    fresh = tokenizer.random_network(0).prefill([1, *first, *paths[-1]])
    assert np.array_equal(boundary.probabilities(paths[-1]), softmax(fresh))


def test_only_what_changed_is_computed(toy_tokenizer: Any) -> None:
    network = toy_tokenizer(["a", "b", "c"]).random_network(0)
    cache = ContextCache(network)
    cache.at([1, 3, 4])
    assert network.num_fed == 3
    cache.at([1, 3, 4, 5])
    assert network.num_fed == 4
    cache.at([1, 3, 4])  # remembered
    assert network.num_fed == 4
    cache.at([1, 3, 4, 6, 3])  # one more than is shared
    assert network.num_fed == 6
    cache.at([1, 3])  # its last token is fed again for its logits
    assert network.num_fed == 7


def test_a_context_that_does_not_fit_leaves_a_cache_that_works(toy_tokenizer: Any) -> None:
    tokenizer = toy_tokenizer(["a"])
    cache = ContextCache(tokenizer.random_network(0, capacity=8))
    cache.at([1, 3, 3])
    with pytest.raises(ContextLengthError):
        cache.at([1, *[3] * 8])
    with pytest.raises(ContextLengthError):
        cache.at([1, 3, 3, 3, 3, 3, 3]).expand([(3, 3)])
    fresh = tokenizer.random_network(0).prefill([1, 3, 4])
    assert np.array_equal(cache.at([1, 3, 4]).probabilities(), softmax(fresh))


@pytest.mark.parametrize("held", [[1, 3, 4], [1, 3], [1, 6], None])
def test_a_call_that_fails_leaves_a_cache_that_works(
    toy_tokenizer: Any, monkeypatch: pytest.MonkeyPatch, held: list[int] | None
) -> None:
    tokenizer = toy_tokenizer(["a", "b", "c"])
    network = tokenizer.random_network(0)
    cache = ContextCache(network)
    if held is not None:
        cache.at(held)

    def fail(token_ids: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(network, "decode", fail)  # which `prefill` calls, once the cache is empty
        with pytest.raises(RuntimeError):
            cache.at([1, 3, 4, 5])
    boundary = cache.at([1, 3, 4, 5])
    assert np.array_equal(boundary.probabilities(), softmax(tokenizer.random_network(0).prefill([1, 3, 4, 5])))
    boundary.expand([(6,)])
    assert np.array_equal(boundary.probabilities((6,)), softmax(tokenizer.random_network(0).prefill([1, 3, 4, 5, 6])))


def test_whoever_keeps_a_boundary_spends_the_turn_that_it_was_made_for(toy_tokenizer: Any) -> None:
    cache = ContextCache(toy_tokenizer(["a", "b", "c"]).random_network(0))
    rich, poor = Turn(CallCost(1.0), 10.0), Turn(CallCost(1.0), 0.0)
    kept = cache.at([1, 3], rich)
    assert cache.at_once([1, 3], poor) is not None  # remembered
    assert not cache.at([1, 3], poor).expand([(4,)])
    assert kept.expand([(4,)])
    assert (rich.num_calls, poor.num_calls) == (2, 0)
    assert cache.at_once([1, 4], poor) is None


@settings(max_examples=300)
@given(st.lists(st.integers(3, 6), max_size=60), st.integers(2, 30))
def test_the_window_holds_the_end_of_the_text_from_a_token_boundary(ids: list[int], num_ids: int) -> None:
    ends_token = np.array([False, False, True, True, False, True, False])
    context = ContextWindow(1, ends_token, num_ids).fit(ids)
    kept = context[1:]
    assert context[0] == 1
    assert len(context) <= num_ids
    assert list(kept) == ids[len(ids) - len(kept) :]
    if len(ids) < num_ids:
        assert list(kept) == ids
    elif len(kept) < num_ids - 1:
        assert ends_token[ids[len(ids) - len(kept) - 1]]
    assert kept or not ids


def test_the_window_moves_in_steps() -> None:
    window = ContextWindow(1, np.ones(8, np.bool_), 41)
    starts = {length - (len(window.fit([3] * length)) - 1) for length in range(41, 101)}
    assert starts == {10, 20, 30, 40, 50, 60}
