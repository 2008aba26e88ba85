"""Time the executor of Core ML packages against torch on the same network, in one process, taking turns.

    python tests/benchmarks/executor_speed.py PACKAGE [--checkpoint FOLDER] [--threads 1] [--rounds 15]

PACKAGE is one that `keyboard-lm export-coreml` wrote, in its bundle; CHECKPOINT (by default the bundled model) is what
it was made from. Run it while nothing else does. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyboard_lm.backends.protocol import Backend

LENGTH = 32  # cached tokens before a step
CALLS = 8  # in a row, of one kind with one backend
SKIPPED = 2  # at each turn's start, while the caches still hold the other's weights
PAUSE_S = 0.05  # lets the other's threads stop spinning
TREE = (-1, 0, 0, 1, -1, 2, 3, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(asked.threads)

    import torch
    from keyboard_lm_coreml.execute.backend import CoreMLBackend
    from keyboard_lm_coreml.execute.runners import ExecutorRunner
    from keyboard_lm_coreml.package.contract import check_digests, read_contract
    from keyboard_lm_coreml.package.package import Package, find_package

    from keyboard_lm.backends import load_backend
    from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder

    torch.set_num_threads(asked.threads)
    checkpoint = Checkpoint.load(asked.checkpoint or bundled_folder())
    package = Package(find_package(asked.package))
    check_digests(package, checkpoint)
    contract = read_contract(package, checkpoint.config)
    backends: dict[str, Backend] = {"torch": load_backend("torch", checkpoint)}
    for name, is_rounding in (("executor", False), ("executor, fp16", True)):
        runner = ExecutorRunner(package, is_rounding)
        backends[name] = CoreMLBackend(runner, contract, checkpoint.config)
    ids = [i for line in LINES for i in checkpoint.tokenizer.encode_message(line)]
    durations: dict[tuple[str, str], list[float]] = {}
    for _ in range(asked.rounds):
        for name, backend in backends.items():
            time.sleep(PAUSE_S)
            for step, call in steps(backend, ids).items():
                backend.prefill(ids[:LENGTH])
                timed = [_seconds(call, backend) for _ in range(SKIPPED + CALLS)][SKIPPED:]
                durations.setdefault((step, name), []).extend(timed)
    report(durations, list(backends), package.path, asked.threads)


LINES = (
    "hey are you still coming to dinner tonight or should we move it to tomorrow",
    "I was going to call you but my phone died on the way home from the station",
    "no worries at all, let me know when you get there and I will meet you outside",
    "thanks so much for your help with the car, we really could not have done it without you",
)


def steps(backend: Backend, ids: list[int]) -> dict[str, Callable[[], object]]:
    """Return the calls to time; each leaves the cache as long as it found it, or starts anew."""
    return {
        "decode 1": lambda: backend.decode(ids[40:41]),
        "tree 8": lambda: backend.score_tree(ids[40:48], TREE),
        "prefill 16": lambda: backend.prefill(ids[:16]),
        "prefill 64": lambda: backend.prefill(ids[:64]),
    }


def report(durations: dict[tuple[str, str], list[float]], names: list[str], package: Path, threads: int) -> None:
    """Print medians in ms and ratios to torch."""
    medians = {key: 1000 * statistics.median(values) for key, values in durations.items()}
    print(f"{'ms, ' + str(threads) + ' threads':16}" + "".join(f"{name:>16}" for name in names) + f"{'ratio':>8}")
    found = []
    for step in dict.fromkeys(step for step, _ in medians):
        row = [medians[step, name] for name in names]
        ratio = row[1] / row[0]
        print(f"{step:16}" + "".join(f"{ms:16.2f}" for ms in row) + f"{ratio:8.2f}")
        found.append(
            {"step": step, "ratio": round(ratio, 3), **dict(zip(names, [round(ms, 3) for ms in row], strict=True))}
        )
    num_bytes = sum(file.stat().st_size for file in package.rglob("*") if file.is_file())
    print(json.dumps({"package": package.name, "package_bytes": num_bytes, "threads": threads, "steps": found}))


def _seconds(call: Callable[[], object], backend: Backend) -> float:
    started = time.perf_counter()
    call()
    elapsed = time.perf_counter() - started
    backend.rewind(min(backend.length, LENGTH))
    return elapsed


if __name__ == "__main__":
    main()
