"""Memory of closed sessions goes back to the system, now and then."""

from __future__ import annotations

import asyncio
import time

from keyboard_lm.serve.freed import Freed
from keyboard_lm.serve.run import server_config

from .conftest import Running
from .talk import hello


def test_memory_is_given_back_once_for_many_sessions() -> None:
    counts, times = iter((0, 31, 32, 33, 63, 64, 1000, 1000)), []
    freed = Freed(lambda: next(counts), lambda: times.append(True))
    given_back = []
    for _ in range(8):
        asyncio.run(freed())
        given_back.append(len(times))
    assert given_back == [0, 0, 1, 1, 1, 2, 3, 3]


def test_the_server_does_so(running: Running) -> None:
    notify = server_config(running.service, "127.0.0.1", 0).callback_notify
    assert isinstance(notify, Freed)
    assert notify._num_ended() == 0
    hello(running.socket).close()
    deadline = time.monotonic() + 20
    while not notify._num_ended():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    notify._give_back()  # whatever the system has
