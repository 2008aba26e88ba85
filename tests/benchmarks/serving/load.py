"""How soon bars come while many people type, and what becomes of twice the load that the service can take.

    python tests/benchmarks/serving/load.py [--typists 50] [--keys-s 4] [--seconds 10] [--rounds 2]

Typists (`typists.py`) press keys of recorded messages at random moments, `--keys-s` a second each, whatever they are
answered. A bar's time is that from sending the key to having the bar; a key whose bar was overtaken by the next key has
none. Between the rounds the same keys are told to a `Session` in this process, one at a time, woken for each, so that
both meet the same other work on the machine. Then as many typists as the service can take at most, and twice as many
keys as that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from server import Server, report, serving
from typists import Seen, crowd, keys_of
from websockets.asyncio.client import connect

from keyboard_lm.cli.table import format_table
from keyboard_lm.keyboard.events import FieldStarted, Typed
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.touch.layout import Tap


def in_process(session: Session, keys: list[dict[str, Any]], seconds: float) -> Iterator[float]:
    """Yield the milliseconds of each key until the time is over."""
    until = time.perf_counter() + seconds
    session.apply(FieldStarted())
    for key in keys:
        time.sleep(0.005)
        begun = time.perf_counter()
        if begun > until:
            return
        session.apply(Typed(key["char"], Tap(**key["tap"]) if key["tap"] is not None else None))
        session.suggest()
        yield (time.perf_counter() - begun) * 1000


async def most(server: Server, seconds: float) -> float:
    """Return how many keys a second the service answers where eight people wait for each bar."""
    counted = [0]
    until = time.perf_counter() + seconds

    async def one(seed: int) -> None:
        keys = keys_of(4000, seed)
        async with connect(server.socket, compression=None, proxy=None) as socket:
            await socket.send('{"type": "hello", "learning": "memory"}')
            for revision, key in enumerate(keys, 1):
                while json.loads(await socket.recv())["type"] not in ("bar", "busy"):
                    pass
                if time.perf_counter() > until:
                    return
                counted[0] += 1
                await socket.send(json.dumps({"type": "typed", "revision": revision, **key}))

    begun = time.perf_counter()
    await asyncio.gather(*map(one, range(8)))
    return counted[0] / (time.perf_counter() - begun)


def p(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--typists", type=int, default=50)
    parser.add_argument("--keys-s", type=float, default=4.0, help="of one typist")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    session = Session.open(options=SessionOptions(num_threads=1))
    here_ms: list[float] = []
    all_seen = Seen()
    with serving("--sessions", "2000") as server:
        asyncio.run(crowd(server.port, 4, 4.0, 2.0, 7))  # the first keys fill caches
        list(in_process(session, keys_of(200, 7), 2.0))
        for number in range(options.rounds):
            here_ms += in_process(session, keys_of(4000, number), options.seconds)
            seen = asyncio.run(crowd(server.port, options.typists, options.keys_s, options.seconds, number))
            for name in ("bars_ms", "edits_ms", "late_ms"):
                getattr(all_seen, name).extend(getattr(seen, name))
            all_seen.sent, all_seen.refused = all_seen.sent + seen.sent, all_seen.refused + seen.refused
        capacity = asyncio.run(most(server, options.seconds))
        typists = max(1, round(2 * capacity / options.keys_s))
        before_mb = server.resident_mb()
        double = asyncio.run(crowd(server.port, typists, options.keys_s, options.seconds, 99))
        after_mb = server.resident_mb()
        again = asyncio.run(crowd(server.port, typists, options.keys_s, options.seconds, 99))
        last_mb = server.resident_mb()
        ready = server.get("/readyz").decode().strip()
    rows = [["", "keys", "bars", "refused", "bar p50 ms", "p95", "p99", "edit p95"]]
    rows.append(["in process", str(len(here_ms)), "", "", *(f"{p(here_ms, q):.1f}" for q in (50, 95, 99)), ""])
    for name, seen in ((f"{options.typists} typists", all_seen), (f"{typists} typists: twice", double)):
        times = [f"{p(seen.bars_ms, q):.1f}" for q in (50, 95, 99)]
        rows.append(
            [name, str(seen.sent), str(len(seen.bars_ms)), str(seen.refused), *times, f"{p(seen.edits_ms, 95):.1f}"]
        )
    print(format_table(rows))
    print(f"it can take {capacity:.0f} keys a second; stages at twice that: {double.stages}; then {ready}")
    late = [f"{p(seen.late_ms, 95):.1f}" for seen in (all_seen, double)]
    print(f"keys were sent at most {late[0]} and {late[1]} ms late (p95); sessions ended: {double.ended + again.ended}")
    print(f"memory: {before_mb:.0f} MB before, {after_mb:.0f} after twice the load, {last_mb:.0f} after it again")
    report(
        {"typists": options.typists, "p95_ratio": p(all_seen.bars_ms, 95) / p(here_ms, 95), "capacity_keys_s": capacity,
         "twice_p95_ms": p(double.bars_ms, 95), "twice_refused": double.refused / max(double.sent, 1),
         "refused_again": again.refused / max(again.sent, 1)}
    )  # fmt: skip


if __name__ == "__main__":
    main()
