"""A turn allows what its budget, its deadline and whoever waits for the answer allow, and no more."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyboard_lm.device.budget import CallCost
from keyboard_lm.device.turn import Turn, no_calls

SIZES = st.lists(st.integers(1, 100), max_size=30)


@given(SIZES, st.floats(0, 50))
def test_what_is_taken_is_spent_and_never_more_than_the_budget(sizes: list[int], budget_ms: float) -> None:
    cost = CallCost(1.0, 0.5, 0.1)
    turn = Turn(cost, budget_ms)
    taken = [size for size in sizes if turn.take(size)]
    assert turn.spent_ms == pytest.approx(sum(map(cost.ms, taken)))
    assert turn.spent_ms <= budget_ms
    assert turn.was_refused == (len(taken) < len(sizes))


def test_nothing_is_begun_at_or_after_the_deadline() -> None:
    seconds = count()
    turn = Turn(deadline=3.0, clock=lambda: float(next(seconds)))
    assert [turn.take(1) for _ in range(5)] == [True, True, True, False, False]  # asked at 0, 1, 2, 3, 4
    assert turn.was_refused


def test_nothing_is_begun_for_an_answer_that_nobody_waits_for() -> None:
    stale = iter([False, True, False])
    turn = Turn(is_stale=lambda: next(stale))
    assert [turn.take(1) for _ in range(3)] == [True, False, True]


def test_a_turn_without_limits_has_none() -> None:
    turn = Turn()
    assert all(turn.take(1000) for _ in range(100))
    assert (turn.spent_ms, turn.was_refused) == (0.0, False)


def test_a_turn_without_calls_has_none() -> None:
    assert not no_calls().take(1)


def test_calls_are_counted_with_their_time() -> None:
    seconds = iter([10.0, 10.5, 11.0])
    turn = Turn(clock=lambda: next(seconds))
    turn.count_call(turn.clock())
    assert (turn.num_calls, turn.forward_ms) == (1, 500.0)
