"""What each key costs a whole keyboard, and whether it still answers the same.

    python tests/benchmarks/keystrokes.py [--data FOLDER|FILE] [--num 20000] [--taps] [-o BARS.json]
        [--same-as BARS.json]

Messages are typed letter by letter into a session on the bundled model, as a keyboard would: each key is told to the
session and the bar is asked for. With `--taps` each comes with a place on its key, no two the same, as from a finger:
what is remembered of a word typed before helps less. Prints times of a key (both together) and one JSON line last. `-o`
keeps a digest of every answer, `--same-as` compares with those of another version of the code and exits with 1 where a
bar differs: what makes the engine faster must not change what it says.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import json
import pstats
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np

from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.texts import load_texts, shipped_texts
from keyboard_lm.keyboard.bar import Answer
from keyboard_lm.keyboard.events import FieldStarted, Typed
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.touch.channel import TapModel
from keyboard_lm.touch.layout import Layout, Tap, load_layout


def messages(data: str | None) -> Iterator[str]:
    """Yield messages of all texts in turn, so that the first thousands are of all kinds."""
    texts = load_texts(data) if data else shipped_texts()
    queues = [iter([message for document in text.documents for message in document]) for text in texts]
    while queues:
        for queue in list(queues):
            message = next(queue, None)
            if message is None:
                queues.remove(queue)
            else:
                yield message


def tap_on(char: str, layout: Layout, rng: np.random.Generator) -> Tap | None:
    """Return where a finger that means a key hits it; None for characters that have none."""
    centre = layout.centre(char)
    if centre is None:
        return None
    x, y = np.clip(rng.normal(0.0, (TapModel.sd_x, TapModel.sd_y)), -0.45, 0.45).tolist()
    return Tap(centre.x + x, centre.y + y)


def digest(answer: Answer) -> str:
    """Return a few letters that differ where a bar does: words, kinds, probabilities to six digits."""
    slots = [(slot.text, slot.kind, slot.replaced, f"{slot.probability:.6g}") for slot in answer.slots]
    ghost = (answer.ghost.text, f"{answer.ghost.probability:.6g}") if answer.ghost is not None else None
    content = repr((slots, answer.correction, ghost, answer.stage, answer.num_model_calls))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="texts; those that ship if not given")
    parser.add_argument("--num", type=int, default=20_000, help="keys")
    parser.add_argument("--taps", action="store_true", help="keys are hit in places, as by a finger")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", type=Path, dest="output", help="file for the answers' digests")
    parser.add_argument("--same-as", type=Path, help="such a file, to compare with")
    parser.add_argument("--profile", choices=("tottime", "cumtime"), help="print where the time goes, in this order")
    options = parser.parse_args()
    minutes = count(step=60)  # what is learned must not depend on how fast this runs
    session = Session.open(options=SessionOptions(num_threads=options.threads), clock=minutes.__next__)
    profile = cProfile.Profile() if options.profile else None
    layout, rng = load_layout(), np.random.default_rng(0)
    times_ms: list[float] = []
    cpu_ms: list[float] = []
    keys: list[tuple[str, str]] = []
    calls: list[int] = []
    for message in messages(options.data):
        session.apply(FieldStarted())
        session.suggest()
        for length, char in enumerate(message, 1):
            event = Typed(char, tap_on(char, layout, rng) if options.taps else None)
            if profile is not None:
                profile.enable()
            begun, cpu_begun = time.perf_counter(), time.process_time()
            session.apply(event)
            answer = session.suggest()
            times_ms.append((time.perf_counter() - begun) * 1000)
            cpu_ms.append((time.process_time() - cpu_begun) * 1000)
            if profile is not None:
                profile.disable()
            calls.append(answer.num_model_calls)
            keys.append((message[:length], digest(answer)))
        if len(keys) >= options.num:
            break
    if profile is not None:
        pstats.Stats(profile).sort_stats(options.profile).print_stats(60)
    p50, p95, p99 = np.percentile(times_ms, (50, 95, 99))
    figures = {"keys": len(keys), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": max(times_ms)}
    figures |= {
        "mean_ms": float(np.mean(times_ms)),
        "cpu_p50_ms": np.median(cpu_ms),
        "cpu_mean_ms": float(np.mean(cpu_ms)),
    }
    figures |= {"calls": float(np.mean(calls))}
    print(
        format_table([list(figures), [f"{value:,.3g}" if value < 1000 else f"{value:,}" for value in figures.values()]])
    )
    by_calls = [["calls of the network", *map(str, range(6))], ["keys %"], ["median CPU ms"]]
    for number in range(6):
        of_number = [ms for ms, num_calls in zip(cpu_ms, calls, strict=True) if num_calls == number]
        by_calls[1].append(f"{100 * len(of_number) / len(keys):.1f}")
        by_calls[2].append(f"{np.median(of_number):.2f}" if of_number else "")
    print(format_table(by_calls))
    if options.output is not None:
        options.output.write_text(json.dumps(keys))
    num_different = 0
    if options.same_as is not None:
        before = [tuple(key) for key in json.loads(options.same_as.read_text())]
        different = [one for one, other in zip(before, keys, strict=False) if one != other]
        num_different = len(different) + abs(len(before) - len(keys))
        print(f"{num_different:,} of {len(keys):,} bars differ")
        for text, _ in different[:10]:
            print(f"  after {text!r}", file=sys.stderr)
    print(json.dumps({**figures, "different": num_different}))
    raise SystemExit(1 if num_different else 0)


if __name__ == "__main__":
    main()
