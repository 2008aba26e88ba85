"""Throw 10,000 paths at a session that no finger draws, or hardly: each has an answer or one clear error, in time.

    python tests/benchmarks/fuzz_paths.py [--num 10000] [--seed 0]

Empty ones, single points, numbers that are none, infinities, points far off the keyboard, clocks that go back,
scribbles, 100,000 points, straight lines, and words drawn well. Prints how many there were of each kind, what became of
them and the time of the slowest (CPU of this thread; the collector is kept out), and one JSON line last; exits with 1
where something else than a `PathError` was raised, the field and its edits fell apart, or one took longer than 50 ms.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections import Counter

import numpy as np

from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.swiper import Swiper
from keyboard_lm.keyboard.events import FieldStarted, Swiped
from keyboard_lm.keyboard.session import Session
from keyboard_lm.touch.layout import load_layout
from keyboard_lm.touch.path import PathError, PathPoint

MOST_MS = 50.0
WORDS = ("hello", "tomorrow", "the", "supercalifragilisticexpialidocious", "of", "quizzes", "don't", "necessarily")
KINDS = (
    "empty", "one point", "a few", "not a number", "far off", "clock back", "scribble", "line", "still", "word",
    "100,000",
)  # fmt: skip


def path_of(kind: str, rng: np.random.Generator, swiper: Swiper) -> tuple[PathPoint, ...]:
    """Return a random path of a kind."""
    num = int(rng.integers(2, 300))
    x, y = rng.uniform(-1, 11, num), rng.uniform(-1, 4.5, num)
    t = np.cumsum(rng.exponential(15, num))
    match kind:
        case "empty":
            return ()
        case "one point":
            x, y, t = x[:1], y[:1], t[:1]
        case "a few":
            x, y, t = x[:3], y[:3], t[:3]
        case "not a number":
            [x, y, t][int(rng.integers(3))][int(rng.integers(num))] = rng.choice([np.nan, np.inf, -np.inf])
        case "far off":
            x, y = x * 10.0 ** rng.integers(1, 300), y * 10.0 ** rng.integers(1, 300)
        case "clock back":
            t = rng.permutation(t)
        case "scribble":
            x, y = 5 + np.cumsum(rng.normal(0, 1, num)), 1.5 + np.cumsum(rng.normal(0, 0.7, num))
        case "line":
            x, y = np.linspace(x[0], x[1], num), np.linspace(y[0], y[1], num)
        case "still":
            x, y = np.full(num, x[0]), np.full(num, y[0])
        case "word":
            return swiper.swipe(str(rng.choice(WORDS)), rng)
        case "100,000":
            return (PathPoint(1.0, 1.0, 1.0),) * 100_000
    return tuple(map(PathPoint, x.tolist(), y.tolist(), t.tolist()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, swiper, session = np.random.default_rng(options.seed), Swiper(load_layout()), Session.open()
    session.apply(Swiped(swiper.swipe("hello", rng)))  # what is arranged at the first path
    became: Counter[tuple[str, str]] = Counter()
    slowest, failures = dict.fromkeys(KINDS, 0.0), 0
    gc.disable()
    for number in range(options.num):
        kind = KINDS[number % len(KINDS)]
        path, before = path_of(kind, rng, swiper), session.text
        begun = time.thread_time()
        try:
            edit = session.apply(Swiped(path))
            expected = before[: len(before) - len(edit.deleted_before)] + edit.inserted
            failures += session.text != expected
            outcome = "nothing" if session.text == before else "a letter" if len(edit.inserted) == 1 else "a word"
        except PathError:
            outcome = "error"
            failures += session.text != before
        except Exception as error:
            outcome = f"FAILED: {type(error).__name__}"
            failures += 1
        slowest[kind] = max(slowest[kind], (time.thread_time() - begun) * 1000)
        became[kind, outcome] += 1
        if len(session.text) > 200:
            session.apply(FieldStarted())
            gc.collect()
    outcomes = sorted({outcome for _, outcome in became})
    rows = [("paths", *outcomes, "slowest ms")]
    rows += [(kind, *(str(became[kind, each]) for each in outcomes), f"{slowest[kind]:.1f}") for kind in KINDS]
    print(format_table(rows))
    worst = max(slowest.values())
    totals = {outcome: sum(n for (_, each), n in became.items() if each == outcome) for outcome in outcomes}
    print(json.dumps({"paths": options.num, **totals, "slowest_ms": round(worst, 1), "failures": failures}))
    sys.exit(int(bool(failures) or worst > MOST_MS))


if __name__ == "__main__":
    main()
