"""Estimated Neural Engine time of each keystroke of a whole keyboard, on several devices.

    python tests/benchmarks/device_ms.py [--num 5000] [--device iphone-12 --device iphone-15-pro ...] [--data FILE]

Messages are typed letter by letter, and the bar is asked for after every key, as in `keystrokes.py`; an answer says how
many calls of the network it took and what they would cost on the device, by the cost model (docs/cost_model.md).
Nothing is measured on a device. Prints a table and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
from itertools import count

import numpy as np
from keystrokes import messages

from keyboard_lm.cli.table import format_table
from keyboard_lm.device.budget import device_names
from keyboard_lm.device.cost_model import cost_model
from keyboard_lm.keyboard.events import FieldStarted, Typed
from keyboard_lm.keyboard.session import Session, SessionOptions

DEVICES = ("iphone-12", "iphone-15-pro", "iphone-17-pro")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="texts; those that ship if not given")
    parser.add_argument("--num", type=int, default=5000, help="keys")
    parser.add_argument("--device", action="append", choices=device_names(), help="can be given several times")
    options = parser.parse_args()
    factor = cost_model().factor
    rows = [["device", "p50 ms", "p95 ms", "max ms", "mean ms", "keys without a call %", "calls a key"]]
    report = {}
    for device in options.device or DEVICES:
        session = Session.open(options=SessionOptions(device=device, num_threads=1), clock=count(step=60).__next__)
        times: list[float] = []
        calls: list[int] = []
        for message in messages(options.data):
            session.apply(FieldStarted())
            session.suggest()
            for char in message[: options.num - len(times)]:
                session.apply(Typed(char))
                answer = session.suggest()
                times.append(answer.device_ms)
                calls.append(answer.num_model_calls)
            if len(times) >= options.num:
                break
        p50, p95 = np.percentile(times, (50, 95))
        idle = 100 * float(np.mean(np.array(calls) == 0))
        figures = {"p50_ms": p50, "p95_ms": p95, "max_ms": max(times), "mean_ms": float(np.mean(times))}
        figures |= {"without_call_percent": idle, "calls": float(np.mean(calls))}
        report[device] = {"keys": len(times), **figures}
        rows.append([device, *(f"{value:.2f}" for value in figures.values())])
    print(format_table(rows))
    print(f"estimates: nine in ten lie within a factor of {factor:.1f}")
    print(json.dumps({"factor": factor, **report}))


if __name__ == "__main__":
    main()
