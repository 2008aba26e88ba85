"""The order of training windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyboard_lm_training.run.windows import RepeatedWindows, WindowSampler, permute, window_at

from keyboard_lm.errors import ConfigError, DataError

BOS, EOS = 1, 2


def _shard(lengths: list[int], first: int = 10) -> np.ndarray:
    tokens: list[int] = []
    for number, length in enumerate(lengths):
        tokens += [first + number % 50] * length + [EOS]
    return np.array([BOS, *tokens], dtype=np.uint16)


@given(st.integers(1, 500), st.integers(0, 2**31))
def test_permute_is_a_permutation(size: int, key: int) -> None:
    drawn = permute(np.arange(size, dtype=np.uint64), size, key)
    assert sorted(drawn.tolist()) == list(range(size))


def test_permute_depends_on_its_key() -> None:
    indices = np.arange(100, dtype=np.uint64)
    assert permute(indices, 100, 1).tolist() != permute(indices, 100, 2).tolist()


@given(st.lists(st.integers(1, 9), min_size=4, max_size=30), st.integers(4, 12), st.data())
def test_window_begins_with_a_message_and_is_full(lengths: list[int], seq_len: int, data: st.DataObject) -> None:
    shard = _shard(lengths)
    if len(shard) <= seq_len:
        return
    start = data.draw(st.integers(0, len(shard) - 2))
    window = window_at(shard, start, seq_len, BOS, EOS)
    assert len(window) == seq_len + 1
    assert window[0] == BOS
    text = window[1:].tolist()
    whole = shard.tolist()
    places = [i for i in range(len(whole) - len(text) + 1) if whole[i : i + len(text)] == text]
    assert places, "the window is a stretch of the shard"
    is_last = places[-1] + len(text) == len(whole)
    longer_than_window = max(lengths) >= seq_len
    assert is_last or longer_than_window or any(whole[i - 1] in (BOS, EOS) for i in places)


def test_an_epoch_visits_every_window_as_often_as_its_weight_says() -> None:
    sources = {"twice": [_shard([3] * 40, 100)], "once": [_shard([3] * 40, 200)], "half": [_shard([3] * 40, 300)]}
    sampler = WindowSampler(sources, {"twice": 2.0, "once": 1.0, "half": 0.5}, 8, BOS, EOS, seed=5)
    epoch = sampler.batch(0, sampler.windows_per_epoch)
    windows = (len(sources["once"][0]) - 1) // 8
    counts = {name: int(((epoch[:, 1] >= low) & (epoch[:, 1] < low + 100)).sum())
              for name, low in (("twice", 100), ("once", 200), ("half", 300))}  # fmt: skip
    assert counts == {"twice": 2 * windows, "once": windows, "half": round(windows / 2)}
    assert len({tuple(row) for row in epoch if 200 <= row[1] < 300}) > windows * 0.8


def test_half_a_source_continues_in_the_next_epoch() -> None:
    shard = _shard([7] * 40)
    sampler = WindowSampler({"half": [shard]}, {"half": 0.5}, 8, BOS, EOS, seed=5)
    two_epochs = sampler.batch(0, 2 * sampler.windows_per_epoch)
    assert len({tuple(row) for row in two_epochs}) >= 0.9 * len(two_epochs)


def test_batches_do_not_depend_on_how_they_are_cut() -> None:
    sampler = WindowSampler({"a": [_shard([3] * 40)], "b": [_shard([5] * 30)]}, {}, 8, BOS, EOS, seed=9)
    whole = sampler.batch(7, 30)
    parts = np.concatenate([sampler.batch(7, 11), sampler.batch(18, 19)])
    assert (whole == parts).all()


def test_too_little_text_is_an_error() -> None:
    with pytest.raises(DataError, match="seq-len"):
        WindowSampler({"a": [_shard([2])]}, {}, 64, BOS, EOS, seed=0)


def test_an_id_that_no_piece_has_is_refused() -> None:
    shard = _shard([5] * 20)
    WindowSampler({"a": [shard]}, {}, 8, BOS, EOS, 0, vocab_size=60).batch(0, 40)
    shard[28] = 60000
    with pytest.raises(DataError, match="holds id 60000"):
        WindowSampler({"a": [shard]}, {}, 8, BOS, EOS, 0, vocab_size=60).batch(0, 40)


def _sampler() -> WindowSampler:
    return WindowSampler({"a": [_shard([5] * 400)]}, {}, 8, BOS, EOS, seed=1)


@given(st.integers(1, 100), st.sampled_from([0.0, 0.25, 0.5, 0.75]), st.integers(0, 50), st.integers(1, 200))
def test_repeated_windows_come_equally_often_and_fresh_ones_once(
    num_windows: int, fresh_share: float, start: int, count: int
) -> None:
    order = RepeatedWindows(_sampler(), num_windows, seed=3, fresh_share=fresh_share)
    block = order.BLOCK_WINDOWS
    numbers = order.numbers(0, 40 * block)
    assert order.numbers(start, count).tolist() == numbers[start : start + count].tolist()
    old, fresh = numbers[numbers < num_windows], numbers[numbers >= num_windows]
    assert fresh.tolist() == list(range(num_windows, num_windows + len(fresh)))
    assert len(fresh) == round(40 * fresh_share) * block
    for first in range(0, len(old) - num_windows + 1, num_windows):
        assert sorted(old[first : first + num_windows].tolist()) == list(range(num_windows))
    assert old[:num_windows].tolist() == list(range(min(num_windows, len(old))))
    kinds = (numbers >= num_windows).reshape(-1, block)
    assert (kinds.all(1) | ~kinds.any(1)).all()


def test_repeated_windows_are_those_of_the_order() -> None:
    sampler = _sampler()
    order = RepeatedWindows(sampler, 5, seed=3, fresh_share=0.5)
    for place, number in enumerate(order.numbers(0, 150).tolist()):
        assert (order.batch(place, 1) == sampler.batch(number, 1)).all()
    with pytest.raises(ConfigError, match="fresh"):
        RepeatedWindows(sampler, 5, seed=3, fresh_share=1.0)
