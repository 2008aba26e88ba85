"""What an engine costs: time of each keystroke, calls of the network, memory, start."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.evaluation.engine import Engine
from keyboard_lm.evaluation.task import Subject

NUM_SLOTS = 3
MAX_KEYSTROKES = 20_000


@dataclass(frozen=True)
class Keystrokes:
    """The keystrokes of some messages.

    Attributes:
        durations_ms: each one's time to the bar, in the order typed.
        model_calls: calls of the network, all together.
    """

    durations_ms: tuple[float, ...]
    model_calls: int


@dataclass(frozen=True)
class Cost:
    """What a process that types pays.

    Attributes:
        keystrokes: how many were timed.
        p50_ms: time to the bar that half of them stay within; likewise the others.
        model_calls: calls of the network for each keystroke.
        start_ms: from a process with its modules loaded to the first bar.
        peak_rss_mb: most memory the process held, in MB (10^6 bytes).
        histogram: number of keystrokes by the power of 2 ** (1 / 4) that their milliseconds round down to.
    """

    keystrokes: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    model_calls: float
    start_ms: float
    peak_rss_mb: float
    histogram: dict[int, int]


def measure_cost(
    load_subject: Callable[[], Subject], documents: Sequence[Sequence[str]], max_keystrokes: int = MAX_KEYSTROKES
) -> Cost:
    """Measure in a process of its own, which does nothing else.

    Args:
        load_subject: picklable; makes the subject.
        documents: of normalised messages.
        max_keystrokes: where to stop.

    Raises:
        KeyboardLMError: the process died.
    """
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(_measure, load_subject, documents, max_keystrokes).result()
    except BrokenProcessPool:
        raise KeyboardLMError(
            "the process that measured cost was killed, perhaps for its memory; run it again"
        ) from None


def time_keystrokes(
    engine: Engine,
    documents: Iterable[Sequence[str]],
    max_keystrokes: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Keystrokes:
    """Type messages key by key, without taking anything from the bar, and time every bar.

    The bar of the empty field is a keystroke too: that of opening it.

    Args:
        engine: the keyboard.
        documents: of normalised messages.
        max_keystrokes: where to stop.
        clock: seconds that only go forward.
    """
    durations: list[float] = []
    calls = 0
    for message in (message for messages in documents for message in messages):
        engine.start_field()
        for length in range(min(len(message) + 1, max_keystrokes - len(durations))):
            start = clock()
            bar = engine.bar(message[:length], NUM_SLOTS)
            durations.append((clock() - start) * 1000)
            calls += bar.num_model_calls
        if len(durations) == max_keystrokes:
            break
    return Keystrokes(tuple(durations), calls)


def _measure(load_subject: Callable[[], Subject], documents: Sequence[Sequence[str]], max_keystrokes: int) -> Cost:
    begun = time.perf_counter()
    engine = load_subject().engine
    engine.start_field()
    engine.bar("", NUM_SLOTS)
    start_ms = (time.perf_counter() - begun) * 1000
    found = time_keystrokes(engine, documents, max_keystrokes)
    durations = np.array(found.durations_ms)
    p50, p95, p99 = (float(value) for value in np.percentile(durations, (50, 95, 99)))
    bins, counts = np.unique(np.floor(4 * np.log2(np.maximum(durations, 1e-6))).astype(int), return_counts=True)
    return Cost(
        keystrokes=len(durations),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=float(durations.max()),
        model_calls=found.model_calls / len(durations),
        start_ms=start_ms,
        peak_rss_mb=_peak_rss_bytes() / 1e6,
        histogram=dict(zip(bins.tolist(), counts.tolist(), strict=True)),
    )


def _peak_rss_bytes() -> float:
    # On Linux the resource usage of a process begins with the peak of the one that started it; this does not.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return math.nan  # Windows has none
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
