"""Runs whose processes die, or become more or fewer, end where the run left alone ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from keyboard_lm_training.run.devices import Placement, placed
from keyboard_lm_training.run.run_log import read_log
from keyboard_lm_training.run.run_state import load_latest_state
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.trainer import Trainer
from keyboard_lm_training.run.training_data import TrainingData

from keyboard_lm.errors import TrainingError
from keyboard_lm.network.checkpoint import Checkpoint

_OPTIONS = [
    "--size", "2m", "--seq-len", "16", "--batch-tokens", "64", "--warmup-steps", "2", "--device", "cpu",
    "--precision", "fp32", "--optimizer", "adamw", "--eval-interval-steps", "0", "--log-interval-steps", "1",
    "--micro-batch", "4", "--decay-share", "0", "--save-interval-minutes", "0", "--average-snapshots", "1",
    "--timeout-seconds", "300",
]  # fmt: skip


def _command(corpus: Path, output: Path, processes: int, *options: str, restarts: int = 0) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    launcher += ["--max-restarts", str(restarts)]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "keyboard_lm", "train", *_OPTIONS]
    return [*command, "--data", str(corpus), "--output", str(output), *options]


def _train(corpus: Path, output: Path, processes: int, *options: str) -> None:
    done = subprocess.run(
        _command(corpus, output, processes, *options), env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
        capture_output=True, timeout=900, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def _losses(output: Path) -> list[float]:
    return [entry["loss"] for entry in read_log(output)]


def _weights(output: Path) -> dict[str, np.ndarray]:
    return Checkpoint.load(output / "checkpoint").weights()


@pytest.fixture(scope="module")
def left_alone(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sharded run of two processes and 8 steps that nobody disturbs."""
    output = tmp_path_factory.mktemp("runs") / "alone"
    _train(tiny_corpus, output, 2, "--strategy", "fsdp", "--steps", "8")
    return output


def test_a_sharded_state_is_whole_and_a_checkpoint_is_safetensors(left_alone: Path) -> None:
    state = load_latest_state(left_alone)
    assert state is not None
    assert state.step == 8
    assert state.shards is not None
    assert sorted(path.name for path in (state.shards / "shards").iterdir()) == [
        ".metadata", "__0_0.distcp", "__1_0.distcp",
    ]  # fmt: skip
    assert not list((left_alone / "states").glob(".*"))
    assert (left_alone / "checkpoint" / "model.safetensors").is_file()


def test_a_killed_process_is_started_again_and_nothing_changes(
    left_alone: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    output = tmp_path / "killed"
    launcher = subprocess.Popen(
        _command(tiny_corpus, output, 2, "--strategy", "fsdp", "--steps", "8", restarts=2),
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 600
    while time.monotonic() < until and not any((output / "states").glob("0*")):
        time.sleep(0.02)
    victims = [pid for pid in _children(launcher.pid) if _rank(pid) == "1"]
    assert victims, launcher.communicate(timeout=60)[1][-3000:]
    os.kill(victims[0], signal.SIGKILL)
    _, errors = launcher.communicate(timeout=900)
    assert launcher.returncode == 0, errors[-3000:]
    assert _losses(output) == _losses(left_alone)
    ours, theirs = _weights(output), _weights(left_alone)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_one_two_and_one_processes_are_one_run(left_alone: Path, tiny_corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "changing"
    for processes, steps in ((1, 2), (2, 5), (1, 8)):
        _train(tiny_corpus, output, processes, "--strategy", "fsdp", "--steps", str(steps))
    np.testing.assert_allclose(_losses(output), _losses(left_alone), rtol=1e-5)


def test_an_error_says_which_process_met_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two processes announced, one started: what a machine that never comes up looks like.
    for name, value in (
        ("WORLD_SIZE", "2"), ("RANK", "0"), ("LOCAL_RANK", "0"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "0"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=r"process 0 of 2 on .*was not there within 1 s"), placed("cpu", 1.0):
        pass


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], check=False, capture_output=True, text=True).stdout
    return [int(line) for line in found.split()]


def _rank(pid: int) -> str:
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next((entry[5:].decode() for entry in environment if entry.startswith(b"RANK=")), "")


def test_curves_for_tensorboard_hold_the_log(tiny_corpus: Path, tiny_run: TrainConfig, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, 1)
    for steps in (3, tiny_run.steps):  # the second goes on with the first
        config = tiny_run.with_changes(steps=steps, schedule="wsd", decay_share=0.0, tensorboard=True)
        Trainer(config, data, tmp_path, Placement(torch.device("cpu"))).run()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    curve, log = events.Scalars("loss"), read_log(tmp_path)
    assert [event.step for event in curve] == [entry["step"] for entry in log]
    assert [event.value for event in curve] == pytest.approx([entry["loss"] for entry in log], abs=1e-4)
    assert {"bits_per_byte/all", "learning_rate"} <= {*events.Tags()["scalars"]}
