"""Two gloo processes train the network that one process trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keyboard_lm_training.run.run_log import read_log

_OPTIONS = [
    "--size", "2m", "--seq-len", "16", "--batch-tokens", "128", "--warmup-steps", "2", "--device", "cpu",
    "--precision", "fp32", "--optimizer", "adamw", "--eval-interval-steps", "3", "--micro-batch", "3",
]  # fmt: skip


def _train(corpus: Path, output: Path, processes: int, *options: str) -> None:
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    )
    command = [sys.executable, *launcher, "-m", "keyboard_lm", "train", *_OPTIONS]
    command += ["--data", str(corpus), "--output", str(output), *options]
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, capture_output=True, timeout=300)


def _figures(output: Path) -> list[tuple[float, float]]:
    return [(entry["loss"], entry["grad_norm"]) for entry in read_log(output)]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_equal_one(strategy: str, tiny_corpus: Path, tmp_path: Path) -> None:
    # Two processes that stop half-way and go on also show that their shared state is saved and restored; saving after
    # every step shows that they agree on when.
    shared = ("--strategy", strategy, "--decay-share", "0", "--save-interval-minutes", "0")
    _train(tiny_corpus, tmp_path / "two", 2, *shared, "--steps", "3")
    _train(tiny_corpus, tmp_path / "two", 2, *shared, "--steps", "6", "--recompute-activations")
    _train(tiny_corpus, tmp_path / "one", 1, "--steps", "6", "--decay-share", "0")
    two, one = _figures(tmp_path / "two"), _figures(tmp_path / "one")
    assert len(two) == len(one) > 0
    np.testing.assert_allclose(two, one, rtol=2e-3)
