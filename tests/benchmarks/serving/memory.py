"""What a further session costs: memory and time, in process and behind a socket.

    python tests/benchmarks/serving/memory.py [--sessions 200] [--keys 40]

Eleven sessions are opened over one engine, in process; then as many as asked for over sockets, first only opened, then
typed on, resident memory of the service being looked at in between.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from contextlib import ExitStack
from pathlib import Path

from server import recorded_messages, report, serving

from keyboard_lm.cli.table import format_table
from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.keyboard.events import Typed
from keyboard_lm.keyboard.session import Session
from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.client import RemoteKeyboard


def resident_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--keys", type=int, default=40)
    options = parser.parse_args()
    engine = Engine.open(num_threads=1)
    first = Session.on(engine)
    for char in "the first keys fill caches that all share ":
        first.apply(Typed(char))
        first.suggest()
    before = resident_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    eleven = [Session.on(engine) for _ in range(11)]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    each_mb = (resident_mb() - before) / len(eleven)
    with serving("--sessions", "5000") as server, ExitStack() as stack:
        warm = stack.enter_context(RemoteKeyboard(server.socket, wire.Hello(learning="memory")))
        for char in "the first keys fill caches that all share ":
            warm.type(char)
            warm.bar()
        at_start = server.resident_mb()
        keyboards = []
        for _ in range(options.sessions):
            keyboards.append(stack.enter_context(RemoteKeyboard(server.socket, wire.Hello(learning="memory"))))
            keyboards[-1].bar()
        opened = server.resident_mb()
        halves = []
        for part in (keyboards[: len(keyboards) // 2], keyboards[len(keyboards) // 2 :]):
            for place, keyboard in enumerate(part):
                for key in next(recorded_messages(options.keys, place)):
                    tap = wire.Place(**key["tap"]) if key["tap"] is not None else None
                    keyboard.type(key["char"], tap)
                    keyboard.bar()
            halves.append(server.resident_mb())
    num = options.sessions
    rows = [
        ["", "MB a session"],
        ["opened in process", f"{each_mb:.2f}"],
        ["opened over a socket, with its first bar", f"{(opened - at_start) / num:.2f}"],
        ["typed on, the first half", f"{(halves[0] - opened) / (num // 2) + (opened - at_start) / num:.2f}"],
        ["typed on, the second half", f"{(halves[1] - halves[0]) / (num - num // 2) + (opened - at_start) / num:.2f}"],
    ]
    print(format_table(rows))
    print(
        f"eleven sessions opened in {wall:.3f} s, {cpu:.3f} s of CPU; the service: {at_start:.0f} -> {halves[1]:.0f} MB"
    )
    report(
        {"in_process_mb": each_mb, "opened_mb": (opened - at_start) / num, "eleven_s": wall, "eleven_cpu_s": cpu,
         "further_typed_mb": (halves[1] - halves[0]) / (num - num // 2) + (opened - at_start) / num}
    )  # fmt: skip


if __name__ == "__main__":
    main()
