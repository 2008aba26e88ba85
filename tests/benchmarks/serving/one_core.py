"""How soon bars come on a core that the service has to itself, whatever else this machine does.

    python tests/benchmarks/serving/one_core.py [--typists 50] [--keys-s 4] [--seconds 30] [--socket-us 170]

The service's own code runs here, from a socket's messages to its answers, in a world whose clock is this thread's CPU
time: it stands still while other processes run, and jumps to the next key where there is nothing to do. What the kernel
and the socket's library would take is added for each key: all that `parity.py` finds a key to cost more over a socket,
though the service's own part of that is in what runs here. Typists press keys at random moments, whatever they are
answered. In process is a `Session` on the same clock, one key at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from server import recorded_messages, report
from starlette.websockets import WebSocket

from keyboard_lm.cli.table import format_table
from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.keyboard.events import FieldStarted, Typed
from keyboard_lm.keyboard.session import Session
from keyboard_lm.serve.frames import Take
from keyboard_lm.serve.limits import Limits
from keyboard_lm.serve.service import REMEMBERED_LETTERS, REMEMBERED_MB, ServeOptions, Service
from keyboard_lm.serve.socket import Connection
from keyboard_lm.touch.layout import Tap

TURNS_TO_SETTLE = 6  # of the event loop, until every task has done what it can


class Clock:
    """CPU time of this thread, with what was skipped and added."""

    def __init__(self) -> None:
        self._added = 0.0

    def __call__(self) -> float:
        return time.thread_time() + self._added

    def add(self, seconds: float) -> None:
        self._added += seconds


@dataclass
class Seen:
    """Milliseconds from key to answer, and what else became of keys."""

    bars_ms: list[float] = field(default_factory=list)
    edits_ms: list[float] = field(default_factory=list)
    stages: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    refused: int = 0


class Short:
    """The short way of messages (`keyboard_lm.serve.frames`) without a socket.

    Args:
        incoming: messages that have to go ASGI's way.
        hear: what is done with an answer.
    """

    is_free = True

    def __init__(self, incoming: asyncio.Queue[dict[str, Any]], hear: Callable[[bytes], None]) -> None:
        self._incoming = incoming
        self.write = hear
        self.take: Take | None = None

    def give(self, take: Take | None) -> None:
        self.take = take

    @property
    def has_more(self) -> bool:
        return not self._incoming.empty()


class Typist:
    """One client without a network between."""

    def __init__(self, service: Service, clock: Clock, seen: Seen) -> None:
        self._clock, self._seen = clock, seen
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._sent_at: dict[int, float] = {}
        self.revision = 0
        self._short = Short(self._incoming, self._note)
        extensions = {"keyboard_lm.frames": {"frames": self._short}}
        scope = {"type": "websocket", "path": "/v1/session", "headers": [], "extensions": extensions}
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._incoming.put_nowait({"type": "websocket.receive", "text": '{"type": "hello", "learning": "memory"}'})
        websocket = WebSocket(scope, self._incoming.get, self._hear)
        self.task = asyncio.create_task(Connection(service, websocket).run())

    def press(self, key: dict[str, Any], at: float) -> None:
        self.revision += 1
        self._seen.sent += 1
        self._sent_at[self.revision] = at
        message = json.dumps({"type": "typed", "revision": self.revision, **key})
        if self._short.take is None or self._short.has_more or not self._short.take(message.encode()):
            self._incoming.put_nowait({"type": "websocket.receive", "text": message})

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})

    async def _hear(self, message: Any) -> None:
        if "text" in message:
            self._note(message["text"])

    def _note(self, content: str | bytes) -> None:
        answer = json.loads(content)
        sent = self._sent_at.get(answer.get("revision", -1))
        if sent is None:
            return
        took_ms = (self._clock() - sent) * 1000
        if answer["type"] == "bar":
            self._seen.bars_ms.append(took_ms)
            self._seen.stages[answer["stage"]] = self._seen.stages.get(answer["stage"], 0) + 1
        elif answer["type"] == "edit":
            self._seen.edits_ms.append(took_ms)
        elif answer["type"] == "busy":
            self._seen.refused += 1


async def crowd(
    service: Service, clock: Clock, typists: int, keys_s: float, seconds: float, seed: int, socket_s: float
) -> Seen:
    """Let so many people type for so long on the clock."""
    seen, rng = Seen(), random.Random(seed)
    people = [Typist(service, clock, seen) for _ in range(typists)]
    await _settle(service)
    scripts = [_script(int(keys_s * seconds * 2) + 10, seed * 1000 + place) for place in range(typists)]
    begun = clock()
    arrivals: list[tuple[float, int, int]] = []
    for place, script in enumerate(scripts):
        at = begun
        for number in range(len(script)):
            at += rng.expovariate(keys_s)
            if at > begun + seconds:
                break
            arrivals.append((at, place, number))
    heapq.heapify(arrivals)
    num_idle = 0
    while arrivals:
        if arrivals[0][0] > clock():
            num_idle = 0 if len(service.turns) else num_idle + 1
            if num_idle > TURNS_TO_SETTLE:
                clock.add(max(0.0, arrivals[0][0] - clock()))
            else:
                await asyncio.sleep(0)
                continue
        num_idle = 0
        while arrivals and arrivals[0][0] <= clock():
            at, place, number = heapq.heappop(arrivals)
            people[place].press(scripts[place][number], at)
            clock.add(socket_s)
        await asyncio.sleep(0)  # as a server's loop reads what has come between any two turns
    await _settle(service)
    for person in people:
        person.leave()
    await asyncio.gather(*(person.task for person in people))
    return seen


async def _settle(service: Service) -> None:
    for _ in range(TURNS_TO_SETTLE):
        await asyncio.sleep(0)
    while len(service.turns):
        await asyncio.sleep(0)


def _script(num_keys: int, seed: int) -> list[dict[str, Any]]:
    return [key for keys in recorded_messages(num_keys, seed) for key in keys]


def in_process(session: Session, keys: list[dict[str, Any]]) -> list[float]:
    """Return the milliseconds of each key."""
    times_ms = []
    session.apply(FieldStarted())
    for key in keys:
        begun = time.thread_time()
        session.apply(Typed(key["char"], Tap(**key["tap"]) if key["tap"] is not None else None))
        session.suggest()
        times_ms.append((time.thread_time() - begun) * 1000)
    return times_ms


def p(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--typists", type=int, default=50)
    parser.add_argument("--keys-s", type=float, default=4.0, help="of one typist")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--socket-us", type=float, default=170.0, help="of kernel and library for a key")
    options = parser.parse_args()
    clock = Clock()
    engine = Engine.open(num_threads=1, memory=REMEMBERED_LETTERS, remembered_mb=REMEMBERED_MB)
    service = Service(engine, ServeOptions(limits=Limits(sessions=5000, sessions_per_user=5000)), clock)
    socket_s = options.socket_us / 1e6
    half_ms = in_process(Session.on(Engine.open(num_threads=1)), _script(1000, 5))
    asyncio.run(crowd(service, clock, 5, options.keys_s, 5.0, 7, socket_s))  # the first keys fill caches
    seen = asyncio.run(crowd(service, clock, options.typists, options.keys_s, options.seconds, 1, socket_s))
    here_ms = half_ms[100:] + in_process(Session.on(Engine.open(num_threads=1)), _script(1000, 6))[100:]
    cost_ms = float(np.mean(here_ms)) + options.socket_us / 1000
    typists = round(2 * 1000 / cost_ms / options.keys_s)
    double = asyncio.run(crowd(service, clock, typists, options.keys_s, options.seconds / 3, 2, socket_s))
    rows = [["", "keys", "bars", "refused", "overtaken", "bar p50 ms", "p95", "p99", "edit p95"]]
    rows.append(["in process", str(len(here_ms)), "", "", "", *(f"{p(here_ms, q):.1f}" for q in (50, 95, 99)), ""])
    for name, each in ((f"{options.typists} typists", seen), (f"{typists} typists: twice", double)):
        times = [f"{p(each.bars_ms, q):.1f}" for q in (50, 95, 99)]
        overtaken = each.sent - len(each.bars_ms) - each.refused
        counts = map(str, (each.sent, len(each.bars_ms), each.refused, overtaken))
        rows.append([name, *counts, *times, f"{p(each.edits_ms, 95):.1f}"])
    print(format_table(rows))
    print(f"stages: {seen.stages}; at twice the load: {double.stages}")
    report(
        {"typists": options.typists, "p95_ms": p(seen.bars_ms, 95), "p95_ratio": p(seen.bars_ms, 95) / p(here_ms, 95),
         "twice_typists": typists, "twice_p95_ms": p(double.bars_ms, 95),
         "twice_refused": double.refused / max(double.sent, 1)}
    )  # fmt: skip


if __name__ == "__main__":
    main()
