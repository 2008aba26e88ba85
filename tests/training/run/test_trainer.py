"""Training runs: resuming, averaging, and what goes wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from keyboard_lm_training.run import run_log, run_state
from keyboard_lm_training.run.devices import LossModel, placed
from keyboard_lm_training.run.heldout import heldout_bits_per_byte
from keyboard_lm_training.run.run_log import read_log
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.trainer import CHECKPOINT_FOLDER, Trainer, TrainResult
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.networks import load_network
from safetensors.numpy import load_file

from keyboard_lm.errors import ConfigError, DataError, TrainingError
from keyboard_lm.network.checkpoint import WEIGHTS_FILE, Checkpoint
from keyboard_lm.network.config import model_size


def _train(config: TrainConfig, corpus: Path, run: Path, stop_after: int | None = None) -> TrainResult:
    data = TrainingData.load(corpus, config.seq_len, config.seed)
    with placed("cpu") as place:
        trainer = Trainer(config, data, run, place)
        return trainer.run(should_stop=lambda: stop_after is not None and trainer.step >= stop_after)


def _weights(run: Path) -> dict[str, np.ndarray]:
    return load_file(run / CHECKPOINT_FOLDER / WEIGHTS_FILE)


def _curve(run: Path) -> list[tuple[int, float, float]]:
    return [(entry["step"], entry["loss"], entry["grad_norm"]) for entry in read_log(run)]


def test_a_finished_run_is_a_checkpoint(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    result = _train(tiny_run, tiny_corpus, tmp_path / "run")
    assert result.checkpoint is not None
    checkpoint = Checkpoint.load(tmp_path / "run" / CHECKPOINT_FOLDER)
    assert checkpoint.digest == result.checkpoint.digest
    assert checkpoint.record()["tokens"] == tiny_run.total_tokens
    assert set(result.bits_per_byte) == {"chat", "books", "all"}
    assert (tmp_path / "run" / "loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("optimizer", "dropout"), [("adamw", 0.0), ("muon", 0.0), ("muon", 0.2)])
def test_a_stopped_run_resumes_bit_for_bit(
    optimizer: str, dropout: float, tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path
) -> None:
    config = tiny_run.with_changes(optimizer=optimizer, dropout=dropout)
    _train(config, tiny_corpus, tmp_path / "whole")
    for stop in (1, 5):
        assert _train(config, tiny_corpus, tmp_path / "parts", stop_after=stop).checkpoint is None
    _train(config, tiny_corpus, tmp_path / "parts")
    assert _curve(tmp_path / "whole") == _curve(tmp_path / "parts")
    for name, whole in _weights(tmp_path / "whole").items():
        assert (whole == _weights(tmp_path / "parts")[name]).all(), name


def test_a_killed_run_resumes_bit_for_bit(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [
        sys.executable, "-m", "keyboard_lm", "train", "--size", "2m", "--data", str(tiny_corpus), "--output", str(run),
        "--steps", "60", "--seq-len", "16", "--batch-tokens", "128", "--warmup-steps", "2", "--device", "cpu",
        "--eval-interval-steps", "20", "--save-interval-minutes", "0.001",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not any((run / run_state.STATES_FOLDER).glob("0*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    whole = [part if part != str(run) else str(tmp_path / "whole") for part in command]
    subprocess.run(whole, env=environment, check=True, capture_output=True)
    assert _curve(run) == _curve(tmp_path / "whole")
    for name, weights in _weights(tmp_path / "whole").items():
        assert (weights == _weights(run)[name]).all(), name


def test_final_weights_are_the_mean_of_the_snapshots(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    last = tiny_run.with_changes(average_snapshots=1, schedule="wsd", decay_share=0.0)
    _train(last.with_changes(steps=5), tiny_corpus, tmp_path / "five")
    _train(last.with_changes(steps=6), tiny_corpus, tmp_path / "six")
    _train(last.with_changes(steps=6, average_snapshots=2), tiny_corpus, tmp_path / "mean")
    for name, mean in _weights(tmp_path / "mean").items():
        expected = (_weights(tmp_path / "five")[name].astype(float) + _weights(tmp_path / "six")[name]) / 2
        np.testing.assert_allclose(mean, expected, atol=2e-3, rtol=2e-3)


def test_what_is_reported_is_measured_on_the_averaged_weights(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path
) -> None:
    config = tiny_run.with_changes(learning_rate=0.05, average_snapshots=4, schedule="wsd", decay_share=0.0)
    result = _train(config, tiny_corpus, tmp_path)
    data = TrainingData.load(tiny_corpus, config.seq_len, config.seed)
    assert result.checkpoint is not None
    network = load_network(result.checkpoint, torch.device("cpu"))
    loss = LossModel(network, config.z_loss_weight, torch.bfloat16)
    measured = heldout_bits_per_byte(loss, data.heldout, config.seq_len, config.eval_tokens)
    assert result.bits_per_byte["all"] == pytest.approx(measured["all"], rel=1e-3)
    assert read_log(tmp_path)[-1]["bits_per_byte"]["all"] != pytest.approx(measured["all"], rel=2e-3)


def test_a_shape_of_ones_own_is_trained(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    shape = tmp_path / "narrow.toml"
    shape.write_text("num_transformer_layers = 2\nmodel_dim = 64\nhead_dim = 16\nvocab_size = 512\n")
    result = _train(tiny_run.with_changes(size=str(shape)), tiny_corpus, tmp_path / "run")
    assert result.checkpoint is not None
    assert result.checkpoint.config.model_dim == 64
    shape.write_text("model_dim = 64")
    with pytest.raises(ConfigError, match=r"narrow\.toml: missing key num_transformer_layers"):
        model_size(str(shape))
    with pytest.raises(ConfigError, match="no file"):
        model_size(str(tmp_path / "absent.toml"))


def test_accumulated_gradients_equal_one_big_batch(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    config = tiny_run.with_changes(precision="fp32", steps=3)
    _train(config.with_changes(micro_batch=8), tiny_corpus, tmp_path / "whole")
    _train(config.with_changes(micro_batch=3, recompute_activations=True), tiny_corpus, tmp_path / "parts")
    losses = [[loss for _, loss, _ in _curve(tmp_path / run)] for run in ("whole", "parts")]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_other_options_do_not_continue_a_run(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    _train(tiny_run, tiny_corpus, tmp_path, stop_after=2)
    with pytest.raises(TrainingError, match="learning_rate was"):
        _train(tiny_run.with_changes(learning_rate=1e-3), tiny_corpus, tmp_path)


def test_a_finished_run_asks_for_more_steps(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    _train(tiny_run, tiny_corpus, tmp_path)
    with pytest.raises(TrainingError, match="give more --steps"):
        _train(tiny_run, tiny_corpus, tmp_path)
    assert _train(tiny_run.with_changes(steps=8), tiny_corpus, tmp_path).step == 8


def test_a_run_killed_before_its_checkpoint_makes_it_the_next_time(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path
) -> None:
    _train(tiny_run, tiny_corpus, tmp_path)
    before = _weights(tmp_path)
    shutil.rmtree(tmp_path / CHECKPOINT_FOLDER)
    assert _train(tiny_run, tiny_corpus, tmp_path).checkpoint is not None
    for name, weights in _weights(tmp_path).items():
        assert (weights == before[name]).all(), name


def test_snapshots_of_an_earlier_end_do_not_reach_a_later_one(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path
) -> None:
    constant = tiny_run.with_changes(decay_share=0.0, schedule="wsd")
    _train(constant, tiny_corpus, tmp_path / "parts")
    _train(constant.with_changes(steps=8), tiny_corpus, tmp_path / "parts")
    _train(constant.with_changes(steps=8), tiny_corpus, tmp_path / "whole")
    for name, weights in _weights(tmp_path / "whole").items():
        assert (weights == _weights(tmp_path / "parts")[name]).all(), name


def test_a_corpus_without_held_out_text_trains(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    data = dataclasses.replace(data, heldout=())
    with placed("cpu") as place:
        result = Trainer(tiny_run, data, tmp_path, place).run()
    assert result.checkpoint is not None
    assert result.bits_per_byte == {}
    assert (tmp_path / "loss.png").is_file()


def test_two_processes_cannot_write_one_run(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    with placed("cpu") as place:
        first = Trainer(tiny_run, data, tmp_path, place)
        with pytest.raises(TrainingError, match="another process is training there"):
            Trainer(tiny_run, data, tmp_path, place)
        first.run()


def test_another_corpus_does_not_continue_a_run(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    _train(tiny_run, tiny_corpus, tmp_path / "run", stop_after=2)
    shutil.copytree(tiny_corpus, tmp_path / "corpus")
    manifest = tmp_path / "corpus" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"weight": 2.0', '"weight": 3.0'))
    with pytest.raises(TrainingError, match="the corpus is another one"):
        _train(tiny_run, tmp_path / "corpus", tmp_path / "run")


def test_a_gradient_that_is_not_a_number_never_reaches_the_weights(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path
) -> None:
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    with placed("cpu") as place:
        trainer = Trainer(tiny_run, data, tmp_path, place)
        weight = trainer._loss_model.model.transformer.norm.weight
        weight.register_hook(lambda gradient: gradient * float("inf"))
        with pytest.raises(TrainingError, match="gradient is not a number at step 1"):
            trainer.run()
    assert torch.isfinite(weight).all()


def test_a_full_disk_under_the_log_is_one_clear_error(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    with placed("cpu") as place:
        trainer = Trainer(tiny_run, data, tmp_path, place)
        monkeypatch.setattr(run_log.RunLog, "_open", lambda self: open("/dev/full", "a"))  # noqa: SIM115
        with pytest.raises(TrainingError, match="No space left"):
            trainer.run()


def test_a_loss_that_is_not_a_number_stops_the_run(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    with placed("cpu") as place:
        trainer = Trainer(tiny_run, data, tmp_path, place)
        with torch.no_grad():
            trainer._loss_model.model.transformer.norm.weight.fill_(float("nan"))
        with pytest.raises(TrainingError, match="not a number at step 1"):
            trainer.run()


def test_a_full_disk_keeps_the_state_before(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _train(tiny_run, tiny_corpus, tmp_path, stop_after=2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_state, "save_file", full)
    with pytest.raises(TrainingError, match=r"step 4 cannot be saved .*No space left"):
        _train(tiny_run, tiny_corpus, tmp_path, stop_after=4)
    monkeypatch.undo()
    assert _train(tiny_run, tiny_corpus, tmp_path).step == 6


def test_a_truncated_shard_is_one_clear_error(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_corpus, tmp_path / "corpus")
    shard = next((tmp_path / "corpus" / "train").iterdir())
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(DataError, match="truncated"):
        _train(tiny_run, tmp_path / "corpus", tmp_path / "run")


def test_a_damaged_state_is_one_clear_error(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    _train(tiny_run, tiny_corpus, tmp_path, stop_after=2)
    tensors = next((tmp_path / run_state.STATES_FOLDER).glob("*/tensors.safetensors"))
    tensors.write_bytes(tensors.read_bytes()[:100])
    with pytest.raises(TrainingError, match="delete that folder"):
        _train(tiny_run, tiny_corpus, tmp_path)


def test_only_whole_lines_of_a_cut_log_are_read(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0}) + '\n{"step": 2, "lo')
    assert [entry["step"] for entry in read_log(tmp_path)] == [1]


def test_a_run_starts_from_another_checkpoints_weights(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path
) -> None:
    _train(tiny_run, tiny_corpus, tmp_path / "first")
    initial = Checkpoint.load(tmp_path / "first" / CHECKPOINT_FOLDER)
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    still = tiny_run.with_changes(learning_rate=1e-12, steps=1)
    with placed("cpu") as place:
        result = Trainer(still, data, tmp_path / "second", place, initial).run()
    assert result.checkpoint is not None
    assert result.checkpoint.record()["initial"]["digest"] == initial.digest
    for name, weights in _weights(tmp_path / "second").items():
        assert (weights == _weights(tmp_path / "first")[name]).all(), name
    with placed("cpu") as place, pytest.raises(TrainingError, match="started from other weights"):
        Trainer(still.with_changes(steps=2), data, tmp_path / "second", place)


def test_a_run_refuses_another_networks_weights(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    _train(tiny_run, tiny_corpus, tmp_path / "first")
    initial = Checkpoint.load(tmp_path / "first" / CHECKPOINT_FOLDER)
    longer = tiny_run.with_changes(seq_len=tiny_run.seq_len // 2)
    data = TrainingData.load(tiny_corpus, longer.seq_len, longer.seed)
    with placed("cpu") as place, pytest.raises(TrainingError, match="another network"):
        Trainer(longer, data, tmp_path / "second", place, initial)
