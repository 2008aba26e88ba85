"""Several words ahead: what a call behind whole words costs, and what it is asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keyboard_lm.decoding.context import ContextCache
from keyboard_lm.decoding.inline import InlineOptions, _Continued
from keyboard_lm.decoding.word_boundary import softmax
from keyboard_lm.device.budget import CallCost
from keyboard_lm.device.turn import Turn
from keyboard_lm.errors import ConfigError

PER_TOKEN = CallCost(0.0, 0.0, 1.0)  # padded to 1, 8, 16 or 64 tokens


def test_a_call_behind_whole_words_spends_the_time_of_their_pieces_as_well(toy_tokenizer: Any) -> None:
    network = toy_tokenizer(["a", "b", "c"]).random_network(0)
    turn = Turn(PER_TOKEN)
    boundary = ContextCache(network).at([1, 3], turn)
    spent_ms = turn.spent_ms
    assert _Continued(boundary, (4, 5)).expand([(6,)])
    assert network.tree_sizes == [3]
    assert turn.spent_ms - spent_ms == PER_TOKEN.ms(3) == 8.0
    poor = Turn(PER_TOKEN, 7.9)
    assert not _Continued(ContextCache(network).at([1, 3], poor), (4, 5)).expand([(6,)])
    assert network.tree_sizes == [3]


def test_what_is_asked_behind_whole_words_is_what_the_network_says_there(toy_tokenizer: Any) -> None:
    tokenizer = toy_tokenizer(["a", "b", "c"])
    behind = _Continued(ContextCache(tokenizer.random_network(0)).at([1, 3]), (4, 5))
    assert not behind.is_known((6,))
    behind.expand([(6,)])
    assert behind.is_known((6,))
    for path in ((), (6,)):
        expected = softmax(tokenizer.random_network(0).prefill([1, 3, 4, 5, *path]))
        assert np.array_equal(behind.probabilities(path), expected)


def test_all_mistakes_in_options_are_told_together() -> None:
    with pytest.raises(ConfigError, match=r"threshold must be .*; max_words must be .*; min_chars must be"):
        InlineOptions(threshold=1.0, max_words=0, min_chars=0)
