"""Overload makes answers cheaper, then refuses; nothing grows."""

from __future__ import annotations

import asyncio

import pytest

from keyboard_lm.errors import ConfigError
from keyboard_lm.serve.limits import Limits
from keyboard_lm.serve.turns import Turns


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Job:
    """Takes its time, a tenth of it where the deadline has passed."""

    def __init__(self, clock: Clock, cost_ms: float) -> None:
        self.clock, self.cost_ms = clock, cost_ms
        self.begun: float | None = None
        self.was_late = False

    def answer(self, deadline: float | None) -> None:
        self.begun = self.clock.now
        self.was_late = deadline is not None and self.clock.now >= deadline
        self.clock.now += self.cost_ms / 1000 * (0.1 if self.was_late else 1.0)


async def _all(turns: Turns) -> None:
    while len(turns):
        await asyncio.sleep(0)


def test_the_oldest_is_answered_first_and_alone_in_full() -> None:
    async def run() -> None:
        clock = Clock()
        turns, jobs = Turns(Limits(), clock), [Job(clock, 1.0) for _ in range(4)]
        assert [turns.ask(job) for job in jobs] == [None] * 4
        await _all(turns)
        assert [job.begun for job in jobs] == pytest.approx([0, 0.001, 0.002, 0.003])
        assert not any(job.was_late for job in jobs)

    asyncio.run(run())


def test_overload_degrades_answers_before_it_refuses() -> None:
    async def run() -> None:
        clock, limits = Clock(), Limits(degrade_ms=10, refuse_ms=30)
        turns = Turns(limits, clock)
        jobs = [Job(clock, 5.0) for _ in range(40)]
        refused = [turns.ask(job) for job in jobs]
        assert None in refused
        assert all(retry is None or retry > 0 for retry in refused)
        assert refused == sorted(refused, key=lambda retry: retry is not None)  # those that came later
        await _all(turns)
        taken = [job for job, retry in zip(jobs, refused, strict=True) if retry is None]
        assert any(job.was_late for job in taken)
        assert not taken[0].was_late
        assert all(job.begun is not None and job.begun <= 0.030 for job in taken)
        assert all(job.begun is None for job, retry in zip(jobs, refused, strict=True) if retry is not None)
        assert turns.ask(Job(clock, 5.0)) is None  # when the queue is empty all is well again
        await _all(turns)

    asyncio.run(run())


def test_what_is_done_between_two_answers_counts() -> None:
    async def run() -> None:
        clock = Clock()
        turns = Turns(Limits(degrade_ms=1e9, refuse_ms=30, waiting=1000), clock)
        taken = []
        for _ in range(200):  # edits of 4 ms between any two answers of 1 ms, and two questions for each
            asked_at = clock.now
            jobs = [Job(clock, 1.0) for _ in range(2)]
            taken += [(asked_at, job) for job in jobs if turns.ask(job) is None]
            await asyncio.sleep(0)
            clock.now += 0.004
        await _all(turns)
        waits_ms = [(job.begun - asked_at) * 1000 for asked_at, job in taken[20:] if job.begun is not None]
        assert len(waits_ms) > 100
        assert max(waits_ms) < 40  # a mean of answers alone would let them wait for 65

    asyncio.run(run())


def test_the_queue_has_a_length() -> None:
    async def run() -> None:
        clock = Clock()
        turns = Turns(Limits(waiting=3, refuse_ms=1e9), clock)
        assert [turns.ask(Job(clock, 1.0)) is None for _ in range(5)] == [True] * 3 + [False] * 2
        await _all(turns)

    asyncio.run(run())


def test_limits_are_positive() -> None:
    with pytest.raises(ConfigError, match=r"idle_s.*; send_s|waiting.*; idle_s"):
        Limits(waiting=0, idle_s=-1.0)
