"""Two gloo processes train the network that one process trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keyboard_lm_training.run_log import read_log

_OPTIONS = [
    "--size", "2m", "--seq-len", "16", "--batch-tokens", "128", "--warmup-steps", "2", "--device", "cpu",
    "--precision", "fp32", "--optimizer", "adamw", "--eval-interval-steps", "3", "--micro-batch", "3",
]  # fmt: skip


def _train(corpus: Path, output: Path, processes: int, *options: str) -> None:
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    command = [sys.executable, *launcher, "-m", "keyboard_lm", "train", *_OPTIONS]
    command += ["--data", str(corpus), "--output", str(output), *options]
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, capture_output=True, timeout=300)


def _figures(output: Path) -> list[float]:
    return [entry["bits_per_byte"]["all"] for entry in read_log(output) if "bits_per_byte" in entry]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_equal_one(strategy: str, tiny_corpus: Path, tmp_path: Path) -> None:
    # Two processes that stop half-way and go on also show that their shared state is saved and restored.
    _train(
        tiny_corpus,
        tmp_path / "two",
        2,
        "--strategy",
        strategy,
        "--steps",
        "3",
        "--schedule",
        "wsd",
        "--decay-share",
        "0",
    )
    _train(tiny_corpus, tmp_path / "two", 2, "--strategy", strategy, "--steps", "6", "--decay-share", "0")
    _train(tiny_corpus, tmp_path / "flat", 1, "--steps", "6", "--decay-share", "0")
    np.testing.assert_allclose(_figures(tmp_path / "two"), _figures(tmp_path / "flat"), rtol=1e-4)
