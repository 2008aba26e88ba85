"""Distillation runs: live and stored teachers, resuming, and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from keyboard_lm_training.run import run_state
from keyboard_lm_training.run.devices import placed
from keyboard_lm_training.run.run_log import read_log
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.trainer import CHECKPOINT_FOLDER, Trainer, TrainResult
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.distill import Distillation, DistillOptions, describe_logits, load_teacher, store_logits
from keyboard_lm_training.teach.teacher_logits import TEACHER_FILE, StoredLogits
from safetensors.numpy import load_file

from keyboard_lm.errors import CheckpointError, ConfigError, TrainingError
from keyboard_lm.network.checkpoint import WEIGHTS_FILE, Checkpoint


@pytest.fixture
def teacher(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> Checkpoint:
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    with placed("cpu") as place:
        Trainer(tiny_run.with_changes(seed=7), data, tmp_path / "teacher", place).run()
    return load_teacher(tmp_path / "teacher")


def _student(
    config: TrainConfig,
    corpus: Path,
    run: Path,
    teacher: Checkpoint,
    options: DistillOptions,
    top_k: int | None = None,
    stop_after: int | None = None,
) -> TrainResult:
    data = TrainingData.load(corpus, config.seq_len, config.seed)
    with placed("cpu") as place:
        stored = None
        if top_k:
            stored = StoredLogits(run / "logits", describe_logits(teacher, config, data, options, top_k))
            store_logits(teacher, config, data, stored, config.steps * config.sequences_per_step, place)
        trainer = Trainer(config, data, run, place, objective=Distillation(teacher, options, stored))
        return trainer.run(should_stop=lambda: stop_after is not None and trainer.step >= stop_after)


def _weights(run: Path) -> dict[str, np.ndarray]:
    return load_file(run / CHECKPOINT_FOLDER / WEIGHTS_FILE)


def _curve(run: Path) -> list[tuple[int, float, float]]:
    return [(entry["step"], entry["loss"], entry["grad_norm"]) for entry in read_log(run)]


@pytest.mark.parametrize("top_k", [None, 8])
def test_a_stopped_student_resumes_bit_for_bit(
    top_k: int | None, tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, teacher: Checkpoint
) -> None:
    options = DistillOptions(alpha=0.7, temperature=2.0, hidden_weight=0.0 if top_k else 0.5)
    _student(tiny_run, tiny_corpus, tmp_path / "whole", teacher, options, top_k)
    for stop in (1, 4):
        _student(tiny_run, tiny_corpus, tmp_path / "parts", teacher, options, top_k, stop_after=stop)
    _student(tiny_run, tiny_corpus, tmp_path / "parts", teacher, options, top_k)
    assert _curve(tmp_path / "whole") == _curve(tmp_path / "parts")
    for name, whole in _weights(tmp_path / "whole").items():
        assert (whole == _weights(tmp_path / "parts")[name]).all(), name


def test_stored_logits_train_as_the_live_teacher_does(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, teacher: Checkpoint
) -> None:
    config = tiny_run.with_changes(precision="fp32", optimizer="adamw")
    options = DistillOptions(alpha=0.8, temperature=1.5)
    _student(config, tiny_corpus, tmp_path / "live", teacher, options)
    _student(config, tiny_corpus, tmp_path / "stored", teacher, options, teacher.config.vocab_size)
    np.testing.assert_allclose(_curve(tmp_path / "stored"), _curve(tmp_path / "live"), rtol=1e-2)


def test_a_distilled_checkpoint_records_its_teacher(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, teacher: Checkpoint
) -> None:
    result = _student(tiny_run, tiny_corpus, tmp_path / "run", teacher, DistillOptions(alpha=0.25))
    assert result.checkpoint is not None
    objective = result.checkpoint.record()["objective"]
    assert (objective["teacher_digest"], objective["alpha"]) == (teacher.digest, 0.25)


def test_another_teacher_or_weight_does_not_continue_a_run(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, teacher: Checkpoint
) -> None:
    _student(tiny_run, tiny_corpus, tmp_path / "run", teacher, DistillOptions(), stop_after=2)
    with pytest.raises(TrainingError, match="another objective"):
        _student(tiny_run, tiny_corpus, tmp_path / "run", teacher, DistillOptions(alpha=0.9))
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    with placed("cpu") as place, pytest.raises(TrainingError, match="another objective"):
        Trainer(tiny_run, data, tmp_path / "run", place)


def test_logits_are_written_where_they_were_stopped_and_further(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, teacher: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyboard_lm_training.teach.teacher_logits._PART_TOKENS", 64)
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    description = describe_logits(teacher, tiny_run, data, DistillOptions(), 4)

    def store(folder: Path, steps: int) -> StoredLogits:
        stored = StoredLogits(folder, description)
        with placed("cpu") as place:
            store_logits(teacher, tiny_run, data, stored, steps * tiny_run.sequences_per_step, place)
        return stored

    whole = store(tmp_path / "whole", 4)
    store(tmp_path / "parts", 2)
    (tmp_path / "parts" / "part-00001.bin").unlink()
    before = (tmp_path / "parts" / "part-00000.bin").stat().st_mtime_ns
    parts = store(tmp_path / "parts", 4)
    assert (tmp_path / "parts" / "part-00000.bin").stat().st_mtime_ns == before
    assert parts.missing_parts(32) == []
    size = sum(path.stat().st_size for path in (tmp_path / "parts").glob("*.bin"))
    assert size == description.num_bytes(32)
    rows = np.arange(3, 20)
    for name in ("ids", "log_q", "log_rest"):
        assert (getattr(whole.read(rows), name) == getattr(parts.read(rows), name)).all()


def test_logits_of_something_else_are_refused(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, teacher: Checkpoint
) -> None:
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    description = describe_logits(teacher, tiny_run, data, DistillOptions(), 4)
    with placed("cpu") as place:
        store_logits(teacher, tiny_run, data, StoredLogits(tmp_path / "logits", description), 8, place)
    other = describe_logits(teacher, tiny_run, data, DistillOptions(temperature=2.0), 4)
    with pytest.raises(TrainingError, match=r"something else \(temperature"):
        StoredLogits(tmp_path / "logits", other)
    part = tmp_path / "logits" / "part-00000.bin"
    part.write_bytes(part.read_bytes()[:-10])
    with pytest.raises(TrainingError, match="delete it"):
        StoredLogits(tmp_path / "logits", description).read(np.array([0]))
    (tmp_path / "logits" / TEACHER_FILE).write_text("{")
    with pytest.raises(TrainingError, match="cannot be read"):
        StoredLogits(tmp_path / "logits", description)


def test_wrong_options_are_reported_together() -> None:
    with pytest.raises(ConfigError, match=r"alpha must .*; temperature must"):
        DistillOptions(alpha=2.0, temperature=0.0)


def test_a_hidden_term_needs_the_teacher_itself(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, teacher: Checkpoint
) -> None:
    with pytest.raises(TrainingError, match="needs the teacher itself"):
        _student(tiny_run, tiny_corpus, tmp_path / "run", teacher, DistillOptions(hidden_weight=1.0), top_k=4)


def test_a_teacher_must_have_seen_windows_so_long(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, teacher: Checkpoint
) -> None:
    with pytest.raises(TrainingError, match="16 tokens at once"):
        _student(tiny_run.with_changes(seq_len=32), tiny_corpus, tmp_path / "run", teacher, DistillOptions())


def test_no_teacher_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_teacher(tmp_path)


def _command(corpus: Path, teacher: Path, run: Path, *more: str) -> list[str]:
    return [
        "-m", "keyboard_lm", "distill", "--teacher", str(teacher), "--size", "2m", "--data", str(corpus),
        "--output", str(run), "--seq-len", "16", "--batch-tokens", "128", "--warmup-steps", "2", "--device", "cpu",
        *more,
    ]  # fmt: skip


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *command], env=environment, check=True, capture_output=True, text=True)


def test_a_killed_student_resumes_bit_for_bit(tiny_corpus: Path, tmp_path: Path, teacher: Checkpoint) -> None:
    shared = ("--steps", "60", "--eval-interval-steps", "20", "--save-interval-minutes", "0.001", "--top-k", "4")
    run, logits = tmp_path / "run", ("--logits", str(tmp_path / "logits"))
    command = _command(tiny_corpus, teacher.folder, run, *shared, *logits)
    killed = subprocess.Popen(
        [sys.executable, *command], env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not any((run / run_state.STATES_FOLDER).glob("0*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    _run(command)
    _run(_command(tiny_corpus, teacher.folder, tmp_path / "whole", *shared, *logits))
    assert _curve(run) == _curve(tmp_path / "whole")
    for name, weights in _weights(tmp_path / "whole").items():
        assert (weights == _weights(run)[name]).all(), name


@pytest.mark.parametrize("is_stored", [False, True])
def test_two_processes_equal_one(is_stored: bool, tiny_corpus: Path, tmp_path: Path, teacher: Checkpoint) -> None:
    def options(name: str) -> list[str]:
        logits = ["--logits", str(tmp_path / name / "logits"), "--top-k", "4"] if is_stored else []
        return ["--steps", "4", "--precision", "fp32", "--optimizer", "adamw", "--micro-batch", "3", *logits]

    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    _run([*launcher, *_command(tiny_corpus, teacher.folder, tmp_path / "two", *options("two"))])
    result = _run(_command(tiny_corpus, teacher.folder, tmp_path / "one", *options("one"), "--json"))
    assert json.loads(result.stdout.splitlines()[-1])["steps"] == 4
    assert ("teacher logits: 0.0 M tokens x 4 take" in result.stderr) == is_stored
    np.testing.assert_allclose(_curve(tmp_path / "two"), _curve(tmp_path / "one"), rtol=2e-3)
