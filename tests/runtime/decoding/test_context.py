"""The context cache against fresh computation, and the window's laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.backends.protocol import KeepingBackend
from keyboard_lm.decoding.context import ContextCache, ContextWindow, KnownBudget
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


class _Keeping:
    """A toy network that can take a scored chain into its cache."""

    def __init__(self, network: Any) -> None:
        # By name: from Python 3.12 on what `__getattr__` would find makes nothing a protocol's instance.
        self.config, self.name, self.capacity, self.rewind = (
            network.config, network.name, network.capacity, network.rewind,
        )  # fmt: skip
        self._network = network
        self._scored: tuple[int, ...] = ()
        self.calls: list[tuple[str, int]] = []
        assert isinstance(self, KeepingBackend)

    @property
    def length(self) -> int:
        return int(self._network.length)

    def prefill(self, token_ids: Any) -> Any:
        self.calls.append(("prefill", len(token_ids)))
        return self._network.prefill(token_ids)

    def decode(self, token_ids: Any) -> Any:
        self.calls.append(("decode", len(token_ids)))
        return self._network.decode(token_ids)

    def score_tree(self, token_ids: Any, parents: Any) -> Any:
        self.calls.append(("tree", len(token_ids)))
        self._scored = (*self._network.ids, *token_ids)
        return self._network.score_tree(token_ids, parents)

    def kept(self, num: int) -> object:
        return self._scored

    def append(self, kept: Any, num: int) -> None:
        assert self._network.ids == kept[:-num]  # it stands where it was scored
        self._network.ids = kept


@settings(max_examples=100)
@given(st.lists(st.tuples(IDS, st.none() | PATHS), min_size=1, max_size=12))
def test_a_cache_that_keeps_chains_says_what_one_that_feeds_them_says(toy_tokenizer: Any, steps: list[Any]) -> None:
    tokenizer = toy_tokenizer(["a", "b", "c"])
    keeping, feeding = (ContextCache(each, num_remembered=2) for each in (
        _Keeping(tokenizer.random_network(0)), tokenizer.random_network(0),
    ))  # fmt: skip
    for ids, paths in steps:
        for cache in (keeping, feeding):
            boundary = cache.at([1, *ids])
            for path in paths or ():
                boundary.expand([path])
        assert np.array_equal(keeping.at([1, *ids]).probabilities(), feeding.at([1, *ids]).probabilities())
        for path in paths or ():
            both = [cache.at([1, *ids]).probabilities(path) for cache in (keeping, feeding)]
            assert np.array_equal(*both)


def test_a_text_that_goes_on_as_was_asked_about_costs_no_call(toy_tokenizer: Any) -> None:
    network = _Keeping(toy_tokenizer(["a", "b", "c"]).random_network(0))
    cache = ContextCache(network)
    boundary = cache.at([1, 3])
    boundary.expand([(4, 5)])
    boundary.expand([(6,), (3,)])  # a tree is no chain: its rows may differ in the last bits
    del network.calls[:]
    assert cache.at_once([1, 3, 4, 5], Turn(CallCost(1.0), 0.0)) is not None
    cache.at([1, 3, 4, 5]).expand([(3,)])
    assert network.calls == [("tree", 1)]
    cache.at([1, 3, 6])
    assert network.calls[1:] == [("decode", 1)]
    cache.at([1, 3, 4, 5, 6]).expand([(4,)])  # what stood behind the chain is fed anew
    assert network.calls[2:] == [("decode", 3), ("tree", 1)]


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


def test_a_budget_is_used_to_its_last_byte(toy_tokenizer: Any) -> None:
    tokenizer = toy_tokenizer(["a", "b", "c"])
    first = ContextCache(tokenizer.random_network(0), budget=(unbounded := KnownBudget(10**9)))
    first.at([1])
    size = unbounded.num_bytes
    network = tokenizer.random_network(0)
    cache = ContextCache(network, budget=(budget := KnownBudget(2 * size)))
    cache.at([1])
    cache.at([1, 3])
    assert budget.num_bytes == 2 * size
    cache.at([1])
    cache.at([1, 3])
    assert network.num_fed == 2  # both are there
    cache.at([1, 4])
    assert budget.num_bytes == 2 * size
    cache.at([1])
    assert network.num_fed == 4  # the one used longest ago was not
