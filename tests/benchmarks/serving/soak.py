"""Whether the service's memory stays flat over a million keys, at about twice the load that it can take.

    python tests/benchmarks/serving/soak.py [--num 1000000] [--every 50000] [--typists 16]

Each typist sends two keys of recorded messages at a time and then waits for the bar of the second one, or for the word
that it is refused, so that as many keys again arrive as can be answered, however fast the machine is. A key counts once
its edit is there; it was answered by a bar, refused, or overtaken by the next one. What is learned is kept until the
socket closes, which it does after some hundred keys, and another session is opened; one message of four is begun by a
field of its own. A session that ends before its time, as on a machine that stands still for a while, is opened again;
how often that was is told. Prints resident memory of the service and what became of the keys as it goes, then the
growth of memory from a fifth of the way to the end, and one JSON line last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from server import Server, recorded_messages, report, serving
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from keyboard_lm.cli.table import format_table

HELLO = json.dumps({"type": "hello", "learning": "memory"})
MESSAGES_OF_SESSION = 10
KEYS_AT_A_TIME = 2
EARLY = (10_000, 60_000)  # keys at which memory is looked at, too
AGAIN_S = 1.0


class Ended(Exception):
    """The service ended a session; its code."""


class Counts:
    """What became of the keys of all typists, and how many there may be.

    Args:
        num: keys in all.
        every: keys between two rows.
        server: whose memory is looked at.
    """

    def __init__(self, num: int, every: int, server: Server) -> None:
        self.num, self.every, self.server = num, every, server
        self.sent = self.made = 0  # keys; edits of keys
        self.seen = Counter[str]()
        self.rows: list[tuple[int, float, float]] = []  # keys, MB, seconds of CPU

    @property
    def is_over(self) -> bool:
        return self.made >= self.num

    def key_made(self) -> None:
        self.made += 1
        if self.made % self.every == 0 or self.made in EARLY:
            self.rows.append((self.made, self.server.resident_mb(), self.server.cpu_ms() / 1000))
            print(f"{self.made:,} keys: {self.rows[-1][1]:.1f} MB, {dict(self.seen)}", flush=True)


async def type_on(counts: Counts, seed: int) -> None:
    """Open one session after another until there were keys enough."""
    rng, messages = random.Random(seed), _messages(seed)
    while not counts.is_over:
        try:
            await _session(counts, rng, messages)
        except Ended as ended:
            counts.seen[f"ended {ended}"] += 1
            await asyncio.sleep(AGAIN_S)
        except (ConnectionClosed, OSError, TimeoutError):
            counts.seen["ended"] += 1
            await asyncio.sleep(AGAIN_S)


async def _session(counts: Counts, rng: random.Random, messages: Iterator[list[dict[str, Any]]]) -> None:
    async with connect(counts.server.socket, compression=None, proxy=None, ping_interval=None) as socket:
        await socket.send(HELLO)
        await _answered(socket, 0, 0, counts)
        counts.seen["sessions"] += 1
        revision = 0
        for _ in range(MESSAGES_OF_SESSION):
            unanswered = 0
            if rng.random() < 0.25:
                revision += 1
                await socket.send(json.dumps({"type": "field_started", "revision": revision}))
                await _answered(socket, revision, 0, counts)
            for key in next(messages):
                revision += 1
                await socket.send(json.dumps({"type": "typed", "revision": revision, **key}))
                counts.sent += 1
                unanswered += 1
                if unanswered == KEYS_AT_A_TIME:
                    await _answered(socket, revision, unanswered, counts)
                    unanswered = 0
                if counts.is_over:
                    return
            if unanswered:
                await _answered(socket, revision, unanswered, counts)


async def _answered(socket: ClientConnection, revision: int, num_keys: int, counts: Counts) -> None:
    # Until the answer to the newest of so many keys.
    while True:
        message = json.loads(await socket.recv())
        kind = message["type"]
        if kind == "error":
            raise Ended(message["code"])
        if kind == "edit" and num_keys:
            counts.key_made()
        if kind in ("bar", "busy"):
            counts.seen[message["stage"] if kind == "bar" else "busy"] += 1
            if message["revision"] == revision:
                return


def _messages(seed: int) -> Iterator[list[dict[str, Any]]]:
    part = 0
    while True:
        yield from (keys for keys in recorded_messages(2000, 1000 * seed + part) if keys)
        part += 1


async def _all(counts: Counts, typists: int) -> None:
    await asyncio.gather(*(type_on(counts, seed) for seed in range(typists)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=1_000_000, help="keys")
    parser.add_argument("--every", type=int, default=50_000, help="keys between two rows")
    parser.add_argument("--typists", type=int, default=16)
    options = parser.parse_args()
    begun = time.perf_counter()
    with serving("--sessions", "2000") as server:
        counts = Counts(options.num, options.every, server)
        asyncio.run(_all(counts, options.typists))
        metrics = server.get("/metrics").decode()
    internal = next(line for line in metrics.splitlines() if 'code="internal"' in line).split()[-1]
    rows = [[f"{keys:,}", f"{resident_mb:.1f}", f"{cpu_s:.0f}"] for keys, resident_mb, cpu_s in counts.rows]
    print(format_table([["keys", "resident MB", "CPU s"], *rows]))
    print(f"{counts.sent:,} keys sent, {counts.made:,} edits; {time.perf_counter() - begun:.0f} s")
    print(f"answers and sessions: {dict(counts.seen)}; internal errors {internal}")
    settled = [row for row in counts.rows if row[0] >= counts.num / 5]
    growth_mb = settled[-1][1] - settled[0][1] if settled else 0.0
    report(
        {"keys": counts.made, "resident_mb": counts.rows[-1][1] if counts.rows else 0.0, "growth_mb": growth_mb,
         "refused": counts.seen["busy"] / max(counts.sent, 1), "internal": float(internal)}
    )  # fmt: skip


if __name__ == "__main__":
    main()
