"""What each key costs a whole keyboard, beside another checkout of it, and whether both answer the same.

    python tests/benchmarks/keystrokes.py [--data FOLDER|FILE] [--num 20000] [--taps] [--private] [--against CHECKOUT]

Messages are typed letter by letter into a session on the bundled model, as a keyboard would: each key is told to the
session and the bar is asked for. With `--taps` each comes with a place on its key, no two the same, as from a finger:
what is remembered of a word typed before helps less. With `--private` nothing is learned, so that bars of versions that
learn differently can be compared.

`--against` names the folder of another checkout (``git worktree add ../before COMMIT``): both versions run in a process
of their own and take turns, message by message, so that whatever else the machine does slows both. Prints times of a
key, their ratios, which bars differ and how, and one JSON line last. Exits with 1 where a bar differs by more than the
order of equally probable slots: what makes the engine faster must not change what it says.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parents[2]
PERCENTILES = (50, 95, 99)
NUM_SHOWN = 12  # differing bars


def messages(data: str | None) -> Iterator[str]:
    """Yield messages of all texts in turn, so that the first thousands are of all kinds."""
    from keyboard_lm.evaluation.texts import load_texts, shipped_texts

    texts = load_texts(data) if data else shipped_texts()
    queues = [iter([message for document in text.documents for message in document]) for text in texts]
    while queues:
        for queue in list(queues):
            message = next(queue, None)
            if message is None:
                queues.remove(queue)
            else:
                yield message


class Typist:
    """Types into a session of whichever version of the package is imported, before or after it got its rooms."""

    def __init__(self, options: argparse.Namespace, profile: cProfile.Profile | None = None) -> None:
        from keyboard_lm.evaluation import texts as _  # noqa: F401  (both versions have it: imported before timing)

        try:
            from keyboard_lm.keyboard import events, session
            from keyboard_lm.touch import channel, layout
        except ImportError:
            from keyboard_lm import channel, events, layout, session  # type: ignore[attr-defined,no-redef]
        self._events = events
        self._layout, self._taps, self._tap_type = layout.load_layout(), channel.TapModel, layout.Tap
        self._rng = np.random.default_rng(0) if options.taps else None
        self._is_private = options.private
        self._profile = profile
        minutes = count(step=60)  # what is learned must not depend on how fast this runs
        asked = session.SessionOptions(num_threads=options.threads)
        self._session = session.Session.open(options=asked, clock=minutes.__next__)

    def type(self, message: str) -> list[tuple[float, float, int, list[Any]]]:
        """Return, for each key of a message: its time, its CPU time (ms), calls of the network, and the bar."""
        session, found = self._session, []
        session.apply(self._events.FieldStarted(is_private=self._is_private))
        session.suggest()
        for char in message:
            event = self._events.Typed(char, self._tap_on(char))
            if self._profile is not None:
                self._profile.enable()
            begun, cpu_begun = time.perf_counter(), time.process_time()
            session.apply(event)
            answer = session.suggest()
            ms, cpu_ms = (time.perf_counter() - begun) * 1000, (time.process_time() - cpu_begun) * 1000
            if self._profile is not None:
                self._profile.disable()
            found.append((ms, cpu_ms, answer.num_model_calls, bar_of(answer)))
        return found

    def _tap_on(self, char: str) -> Any:
        centre = self._layout.centre(char) if self._rng is not None else None
        if centre is None or self._rng is None:
            return None
        x, y = np.clip(self._rng.normal(0.0, (self._taps.sd_x, self._taps.sd_y)), -0.45, 0.45).tolist()
        return self._tap_type(centre.x + x, centre.y + y)


def bar_of(answer: Any) -> list[Any]:
    """Return what must not differ: words, kinds, probabilities to six digits."""
    slots = [[slot.text, slot.kind, slot.replaced, f"{slot.probability:.6g}"] for slot in answer.slots]
    made = [answer.correction.replaced, answer.correction.text] if answer.correction is not None else None
    ghost = [answer.ghost.text, f"{answer.ghost.probability:.6g}"] if answer.ghost is not None else None
    return [slots, made, ghost, answer.stage]


def difference(before: list[Any], after: list[Any]) -> str:
    """Return in what two bars differ: ``"same"``, ``"ties"``, ``"digits"`` (of probabilities), or the part."""
    if before == after:
        return "same"
    if _close(before, after):
        return "digits"
    if before[1:3] == after[1:3]:
        shares = [[slot[3] for slot in bar[0]] for bar in (before, after)]
        swapped = {share for share, one, other in zip(shares[0], before[0], after[0], strict=False) if one != other}
        if shares[0] == shares[1] and all(shares[0].count(share) > 1 or share == shares[0][-1] for share in swapped):
            return "ties"
    words = [[slot[:3] for slot in bar[0]] for bar in (before, after)]
    parts = [words[0] != words[1], before[1] != after[1], before[2] != after[2], before[3] != after[3]]
    names = [name for name, differs in zip(("slots", "correction", "ghost", "stage"), parts, strict=True) if differs]
    return ", ".join(names) or "probabilities"


def _close(before: Any, after: Any) -> bool:
    # The same but for the last of six digits.
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_close, before, after))
    try:
        return before == after or abs(float(before) - float(after)) <= 2e-5 * abs(float(before))
    except (TypeError, ValueError):
        return False


@dataclass
class Figures:
    """Times of the keys of one version."""

    ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    def add(self, keys: Sequence[tuple[float, float, int, list[Any]]]) -> None:
        """Add the keys of a message."""
        for ms, cpu_ms, num_calls, _ in keys:
            self.ms.append(ms)
            self.cpu_ms.append(cpu_ms)
            self.calls.append(num_calls)

    def summary(self) -> dict[str, float]:
        """Return mean and percentiles, of CPU time and of time, and calls of the network a key."""
        cpu = dict(zip((f"cpu_p{p}_ms" for p in PERCENTILES), np.percentile(self.cpu_ms, PERCENTILES), strict=True))
        wall = dict(zip((f"p{p}_ms" for p in PERCENTILES), np.percentile(self.ms, PERCENTILES), strict=True))
        means = {"cpu_mean_ms": float(np.mean(self.cpu_ms)), "mean_ms": float(np.mean(self.ms))}
        values = {**means, **cpu, **wall, "max_ms": max(self.ms), "calls": float(np.mean(self.calls))}
        return {name: round(float(value), 4) for name, value in values.items()}


class Worker:
    """A process that types with the package of one checkout."""

    def __init__(self, checkout: Path, options: argparse.Namespace) -> None:
        paths = [checkout, checkout / "training", checkout / "coreml"]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONSAFEPATH": "1"}
        command = [sys.executable, __file__, "--worker", "--threads", str(options.threads)]
        command += ["--taps"] * options.taps + ["--private"] * options.private
        self._process = subprocess.Popen(
            command, env=env, cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def type(self, message: str) -> list[Any]:
        """Return what `Typist.type` does there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        keys: list[Any] = json.loads(self._process.stdout.readline())
        return keys

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def work(options: argparse.Namespace) -> None:
    """Answer messages on standard input, one JSON line each."""
    typist = Typist(options)
    for line in sys.stdin:
        print(json.dumps(typist.type(json.loads(line))), flush=True)


def compare(options: argparse.Namespace) -> int:
    """Type with both versions in turn; print how they compare; return how many bars differ."""
    workers = [Worker(options.against.resolve(), options), Worker(HERE, options)]
    figures, differences, shown = [Figures(), Figures()], Counter[str](), 0
    for number, message in enumerate(messages(options.data)):
        order = (0, 1) if number % 2 else (1, 0)
        keys: list[list[Any]] = [[], []]
        for index in order:
            keys[index] = workers[index].type(message)
            figures[index].add(keys[index])
        for length, (before, after) in enumerate(zip(*keys, strict=True), 1):
            what = difference(before[3], after[3])
            differences[what] += 1
            if what not in ("same", "ties", "digits") and shown < NUM_SHOWN:
                shown += 1
                print(f"{what}: {message[:length]!r}\n  {before[3]}\n  {after[3]}", file=sys.stderr)
        if len(figures[0].ms) >= options.num:
            break
    for worker in workers:
        worker.close()
    before, after = (each.summary() for each in figures)
    ratios = {name: round(after[name] / before[name], 3) for name in before}
    print(f"{'':14}" + "".join(f"{name:>13}" for name in before))
    for name, row in (("before", before), ("now", after), ("ratio", ratios)):
        print(f"{name:14}" + "".join(f"{value:>13.3f}" for value in row.values()))
    num_different = sum(number for what, number in differences.items() if what not in ("same", "ties", "digits"))
    print(f"{len(figures[0].ms):,} bars: " + ", ".join(f"{number:,} {what}" for what, number in differences.items()))
    print(json.dumps({"before": before, "now": after, "ratio": ratios, "bars": differences}))
    return num_different


def measure(options: argparse.Namespace) -> None:
    """Type with this version and print what its keys take."""
    profile = cProfile.Profile() if options.profile else None
    typist, figures = Typist(options, profile), Figures()
    for message in messages(options.data):
        figures.add(typist.type(message))
        if len(figures.ms) >= options.num:
            break
    if profile is not None:
        pstats.Stats(profile).sort_stats(options.profile).print_stats(60)
    found = figures.summary()
    print("".join(f"{name:>13}" for name in found))
    print("".join(f"{value:>13.3f}" for value in found.values()))
    print(f"{'calls of the network':24}{'keys %':>8}{'median CPU ms':>15}")
    for number in range(6):
        of_number = [ms for ms, calls in zip(figures.cpu_ms, figures.calls, strict=True) if calls == number]
        if of_number:
            print(f"{number:<24}{100 * len(of_number) / len(figures.ms):>8.1f}{np.median(of_number):>15.2f}")
    print(json.dumps({"keys": len(figures.ms), **found}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="texts; those that ship if not given")
    parser.add_argument("--num", type=int, default=20_000, help="keys")
    parser.add_argument("--taps", action="store_true", help="keys are hit in places, as by a finger")
    parser.add_argument("--private", action="store_true", help="nothing is learned while typing")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--against", type=Path, help="another checkout, to take turns with")
    parser.add_argument("--profile", choices=("tottime", "cumtime"), help="print where the time goes, in this order")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
    elif options.against is not None:
        raise SystemExit(1 if compare(options) else 0)
    else:
        measure(options)


if __name__ == "__main__":
    main()
