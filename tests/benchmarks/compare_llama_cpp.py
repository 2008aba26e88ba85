"""Time our ONNX backend against llama.cpp on the same network, in one process, taking turns.

Not a test, and nothing here is a dependency of the project. In an environment of its own:

    pip install llama-cpp-python gguf -e '.[onnx]'
    python tests/benchmarks/compare_llama_cpp.py CHECKPOINT [--threads 2] [--rounds 20]

CHECKPOINT needs its weights and its int4 graph. The weights are written as a GGUF file in Q4_0 (architecture
``openelm``), which is also 4 bits in blocks of 32, but rounded plainly and with fp16 scales. Prints a table, then one
JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keyboard_lm.backends.llama_cpp import LlamaCppBackend
from keyboard_lm.backends.onnx import OnnxBackend
from keyboard_lm.export.gguf import export_file
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.reference import reference_logits

FIRST_LENGTH, LAST_LENGTH = 32, 64  # decode steps are timed at these cache lengths
SKIPPED_STEPS = 4  # at each turn's start, while the caches still hold the other engine's weights
PAUSE_S = 0.05  # lets the other engine's threads stop spinning


def time_turn(engine: Any, ids: list[int], decode_ms: list[float], prefill_ms: list[float]) -> None:
    """Time one prefill and one run of decode steps, and append the durations."""

    def timed(call: Callable[[], object]) -> float:
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * 1000

    engine.prefill(ids[:FIRST_LENGTH])
    prefill_ms.append(timed(lambda: engine.prefill(ids[:FIRST_LENGTH])))
    steps = [timed(lambda: engine.decode([ids[engine.length]])) for _ in range(FIRST_LENGTH, LAST_LENGTH)]
    decode_ms.extend(steps[SKIPPED_STEPS:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    checkpoint = Checkpoint.load(options.checkpoint)
    ids = np.random.default_rng(0).integers(3, checkpoint.config.vocab_size, LAST_LENGTH).tolist()
    expected = reference_logits(checkpoint.config, checkpoint.weights(), ids)[-1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        export_file(checkpoint, path, "q4_0")
        size_mb = path.stat().st_size / 1e6
        engines = {
            "onnx": OnnxBackend.load(checkpoint, num_threads=options.threads),
            "llama.cpp": LlamaCppBackend(path, checkpoint.config, options.threads),
        }
        # Both must be the network they claim to be; 4-bit rounding leaves about .8 even where weights are random.
        agreement = {name: float(np.corrcoef(engine.prefill(ids), expected)[0, 1]) for name, engine in engines.items()}
        if min(agreement.values()) < 0.6:
            raise SystemExit(f"an engine computes something else than the weights: {agreement}")
        decode_ms: dict[str, list[float]] = {name: [] for name in engines}
        prefill_ms: dict[str, list[float]] = {name: [] for name in engines}
        for turn in range(options.rounds):
            for name in sorted(engines, reverse=turn % 2 == 1):
                time.sleep(PAUSE_S)
                time_turn(engines[name], ids, decode_ms[name], prefill_ms[name])
    report: dict[str, Any] = {"checkpoint": checkpoint.folder.name, "threads": options.threads, "cores": os.cpu_count()}
    for name in engines:
        report[name] = {
            "decode_ms": statistics.median(decode_ms[name]),
            "decode_best_ms": min(decode_ms[name]),
            "prefill_32_ms": statistics.median(prefill_ms[name]),
            "correlation_with_fp32": agreement[name],
        }
        print(
            f"{name:<10} decode {report[name]['decode_ms']:.3f} ms (best {report[name]['decode_best_ms']:.3f}),"
            f" prefill of 32 {report[name]['prefill_32_ms']:.2f} ms, correlation with fp32 {agreement[name]:.4f}"
        )
    report["gguf_mb"] = size_mb
    report["decode_ratio"] = report["onnx"]["decode_ms"] / report["llama.cpp"]["decode_ms"]
    report["prefill_ratio"] = report["onnx"]["prefill_32_ms"] / report["llama.cpp"]["prefill_32_ms"]
    print(f"ours / llama.cpp: decode {report['decode_ratio']:.2f}, prefill {report['prefill_ratio']:.2f}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
