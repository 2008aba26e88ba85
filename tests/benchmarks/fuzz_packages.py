"""Damage packages in many thousand ways: reading, compiling and running one may only work or end in one line.

    python tests/benchmarks/fuzz_packages.py PACKAGE... [--runs N] [--seed S]

Every damaged package is opened, all its functions are compiled, and one is run on zeros, under a limit of memory and
time. What is neither an answer nor a `PackageError` of one line is a failure and is printed with its seed. Ends with
one JSON line; exit status 1 if anything failed.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import numpy as np
from keyboard_lm_coreml.execute.executor import Executor
from keyboard_lm_coreml.package.package import Package

from keyboard_lm.errors import PackageError

sys.path.insert(0, str(Path(__file__).parents[1] / "coreml"))
from mutations import Files, damage

MEMORY_BYTES = 3 << 30  # address space over what the process has at its start
SECONDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    sources = [_files(path) for path in asked.packages]
    _limit_memory()
    signal.signal(signal.SIGALRM, _too_long)
    outcomes: collections.Counter[str] = collections.Counter()
    refused: collections.Counter[str] = collections.Counter()
    failures: list[str] = []
    slowest, begun = 0.0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.mlpackage"
        for run in range(asked.runs):
            seed = asked.seed * 1_000_000 + run
            rng = random.Random(seed)
            damaged = damage(rng.choice(sources), rng)
            _write(path, damaged.files)
            started = time.monotonic()
            signal.alarm(SECONDS)
            try:
                outcome = _try(path, random.Random(seed))
            except BaseException as error:
                outcome = "failed"
                failures.append(f"seed {seed}, {damaged.kind}: {type(error).__name__}: {str(error)[:200]}")
                print(failures[-1], file=sys.stderr)
            finally:
                signal.alarm(0)
            slowest = max(slowest, time.monotonic() - started)
            outcomes[outcome] += 1
            refused[damaged.kind] += outcome == "refused"
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{asked.runs} damaged packages in {time.monotonic() - begun:.0f} s: {dict(outcomes)}")
    print(f"slowest {slowest:.2f} s, peak memory {peak_mb:.0f} MB")
    for kind, count in refused.most_common():
        print(f"  refused after {kind}: {count}")
    print(
        json.dumps(
            {
                "runs": asked.runs,
                **outcomes,
                "slowest_s": round(slowest, 3),
                "peak_mb": round(peak_mb),
                "failures": failures,
            }
        )
    )
    sys.exit(1 if failures else 0)


def _try(path: Path, rng: random.Random) -> str:
    """Open, compile and run; return what came of it.

    Raises:
        AssertionError: an error of more than one line.
    """
    try:
        executor = Executor(Package(path), is_rounding=rng.random() < 0.5)
        for name in executor.package.function_names:
            executor.prepare(name)
        name = rng.choice(executor.package.function_names)
        plan = executor.prepare(name)
        executor.run(
            name,
            {
                named.name: np.zeros(named.type.fixed_shape or (), named.type.dtype.numpy)
                for named in plan.function.inputs
                if not named.type.is_state
            },
        )
    except PackageError as error:
        message = str(error)
        if "\n" in message or str(path) not in message:
            raise AssertionError(f"an error of several lines, or without the package's name: {message}") from None
        return "refused"
    return "answered"


def _files(path: Path) -> Files:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def _write(path: Path, files: Files) -> None:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)


def _limit_memory() -> None:
    with open("/proc/self/statm") as stream:
        now = int(stream.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY_BYTES, now + MEMORY_BYTES))


def _too_long(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


if __name__ == "__main__":
    main()
