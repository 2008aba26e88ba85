"""Load and step times of the formats of one checkpoint side by side: our executor, Core AI's runtime, ONNX Runtime.

    keyboard-lm export-coreml -o COREML && keyboard-lm export-coreai -o COREAI
    python tests/benchmarks/formats_speed.py COREML COREAI

Both bundles have to be of the bundled model. Times are of the process, one thread each, the runtimes in turn, medians;
loading is to the first token's logits. A table, then one JSON line.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when numpy is imported

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keyboard_lm.backends import load_backend
from keyboard_lm.backends.protocol import Backend
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder

TREE = (-1, 0, 0, 1, 1, 2, 2, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("coreml", type=Path)
    parser.add_argument("coreai", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    places = {"onnx": bundled_folder(), "coreml": arguments.coreml, "coreai": arguments.coreai}
    backends: dict[str, Backend] = {}
    figures: dict[str, dict[str, float]] = {}
    for name, place in places.items():
        checkpoint = Checkpoint.load(place)
        began = time.process_time()
        backends[name] = load_backend(name, checkpoint, num_threads=1)
        backends[name].prefill([1])
        figures[name] = {"load_ms": 1e3 * (time.process_time() - began)}
    ids = [int(token) for token in np.random.default_rng(0).integers(3, 8000, 16)]
    steps: dict[str, Callable[[Backend], object]] = {
        "one token": lambda backend: backend.decode(ids[:1]),
        "a tree of 8": lambda backend: backend.score_tree(ids[:8], TREE),
        "a prefill of 16": lambda backend: backend.prefill(ids),
    }
    for step, call in steps.items():
        times: dict[str, list[float]] = {name: [] for name in backends}
        for backend in backends.values():
            backend.prefill(ids)
            call(backend)
        for _ in range(arguments.rounds):
            for name, backend in backends.items():
                backend.prefill(ids[:8])
                began = time.process_time()
                call(backend)
                times[name].append(1e3 * (time.process_time() - began))
        for name, values in times.items():
            figures[name][step] = statistics.median(values)
    columns = list(backends)
    print(f"{'ms of processor time':<24}" + "".join(f"{name:>12}" for name in columns))
    for row in ("load_ms", *steps):
        print(f"{row:<24}" + "".join(f"{figures[name][row]:>12.2f}" for name in columns))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
