"""How long a person waits for `keyboard-lm suggest`, from an idle shell to the answer, and what it takes in memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from keyboard_lm.backends import DEFAULT_BACKEND
from keyboard_lm.bench import processes
from keyboard_lm.bench.repeat import Timing
from keyboard_lm.errors import KeyboardLMError

TEXT = "I am going"
HEAVY_MODULES = ("torch", "onnx", "coremltools", "transformers")

_LIST_MODULES = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from keyboard_lm.cli import main
main()
"""


@dataclass(frozen=True)
class ColdStart:
    """Whole processes of `keyboard-lm suggest`, each a fresh interpreter with the files in the page cache.

    Attributes:
        wall: process start to exit.
        peak_rss_mb: median of the processes' peak resident memory, in MB (10^6 bytes).
        interpreter: the same for a Python that does nothing.
        heavy_imports: those of `HEAVY_MODULES` that the command imported.
    """

    wall: Timing
    peak_rss_mb: float
    interpreter: Timing
    heavy_imports: tuple[str, ...]


def measure_cold_start(model: Path, runs: int, backend: str = DEFAULT_BACKEND) -> ColdStart:
    """Run `keyboard-lm suggest` on the checkpoint folder `model` in `runs` fresh processes.

    Raises:
        KeyboardLMError: the command fails.
    """
    arguments = ["suggest", TEXT, "--model", str(model), "--backend", backend]
    listed = subprocess.run([sys.executable, "-c", _LIST_MODULES, *arguments], capture_output=True, text=True)
    if listed.returncode:
        raise KeyboardLMError(f"keyboard-lm suggest failed: {listed.stderr.strip().splitlines()[0]}")
    imported = set(listed.stderr.split())
    _measure([sys.executable, "-m", "keyboard_lm", *arguments], 2)  # warm-up: the page cache, compiled modules
    seconds, peaks = _measure([sys.executable, "-m", "keyboard_lm", *arguments], runs)
    bare_seconds, _ = _measure([sys.executable, "-c", ""], runs)
    return ColdStart(
        Timing.of([1000 * s for s in seconds]),
        statistics.median(peaks) / 1e6,
        Timing.of([1000 * s for s in bare_seconds]),
        tuple(name for name in HEAVY_MODULES if name in imported),
    )


def _measure(command: list[str], runs: int) -> tuple[list[float], list[int]]:
    # Returns seconds and peak bytes of each run.
    helper = [sys.executable, "-S", "-E", processes.__file__, str(runs), *command]
    results = json.loads(subprocess.run(helper, capture_output=True, check=True).stdout)
    failed = [status for _, _, status in results if status]
    if failed:
        raise KeyboardLMError(f"{' '.join(command[1:])} ended with status {failed[0]}")
    return [seconds for seconds, _, _ in results], [peak for _, peak, _ in results]
