"""How many mistakes in the keyboard's own code the tests catch: mutmut on a random sample of its mutants.

    pip install mutmut
    CI=1 python tests/benchmarks/mutation_score.py [--sample 300] [--seed 0] [--jobs 2] [--minutes 60]

mutmut (its settings are in pyproject.toml) changes one operator, number, argument or default at a time in keyboard/,
decoding/, correction/ and personal/, and runs the tests that reach the changed function. All mutants would take a day;
as many as `--sample`, drawn by `--seed`, give their share within a few points. Prints the share that was caught for
each room with its 95 % interval (Wilson), then every survivor as a difference, and one JSON line last.

mutmut runs the mutants that few tests reach first. So they are given to it a hundred at a time in the order that they
were drawn in, and a hundred that does not fit `--minutes` is left out as a whole: what was run is a random sample all
the same.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

MUTMUT = (sys.executable, "-m", "mutmut")
AT_ONCE = 100
ROOMS = ("keyboard", "decoding", "correction", "personal")
CAUGHT = {1: "killed", 3: "killed", -24: "timeout", 24: "timeout", 36: "timeout", 152: "timeout", 255: "timeout"}
MISSED = {0: "survived", 5: "no tests", 33: "no tests"}


def mutants() -> dict[str, int | None]:
    """Return every mutant's exit status; None where it was not run."""
    found: dict[str, int | None] = {}
    for file in sorted(Path("mutants").rglob("*.meta")):
        found.update(json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"])
    return found


def wilson(hits: int, number: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    if not number:
        return 0.0, 1.0
    share, spread = hits / number, z * z / number
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / number + spread / (4 * number)) / (1 + spread)
    return middle - half, middle + half


def run(names: list[str], jobs: int, seconds: float | None = None) -> None:
    """Let mutmut run mutants, for so long at most; what it shows on the way goes to standard error."""
    command = [*MUTMUT, "run", "--max-children", str(jobs), *names]
    with subprocess.Popen(command, stdout=sys.stderr, env={**os.environ, "CI": "1"}, start_new_session=True) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)  # what is done is in the files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    if not mutants():
        run(["keyboard_lm.keyboard.bar.*__mutmut_1"], options.jobs)  # makes all of them, and maps tests to functions
    names = sorted(mutants())
    drawn = random.Random(options.seed).sample(names, min(options.sample, len(names)))
    tried: list[str] = []
    for first in range(0, len(drawn), AT_ONCE):
        some, known = drawn[first : first + AT_ONCE], mutants()
        if waiting := [name for name in some if known[name] is None]:
            run(waiting, options.jobs, max(end - time.monotonic(), 1.0))
        if time.monotonic() > end:
            break
        tried += some
    status = mutants()
    done = [name for name in tried if status[name] in CAUGHT or status[name] in MISSED]
    counts = Counter((name.split(".")[1], status[name] in CAUGHT) for name in done)
    report = {}
    for room in (*ROOMS, "all"):
        caught, missed = (
            sum(number for (each, hit), number in counts.items() if hit is kind and room in (each, "all"))
            for kind in (True, False)
        )
        low, high = wilson(caught, caught + missed)
        report[room] = {"caught": caught, "missed": missed, "low": low, "high": high}
        share = caught / max(caught + missed, 1)
        print(f"{room:12} {caught:4} of {caught + missed:4} caught: {share:6.1%} [{low:.1%}, {high:.1%}]")
    survivors = [name for name in done if status[name] in MISSED]
    for name in survivors:
        shown = subprocess.run([*MUTMUT, "show", name], check=False, capture_output=True, text=True)
        lines = [
            line for line in shown.stdout.splitlines() if line.startswith(("-", "+")) and line[:3] not in ("---", "+++")
        ]
        print(f"\n{name} ({MISSED[status[name] or 0]})\n" + "\n".join(lines))
    print(json.dumps({"mutants": len(names), "sample": len(drawn), "run": len(done), **report, "survivors": survivors}))


if __name__ == "__main__":
    main()
