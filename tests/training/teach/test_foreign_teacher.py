"""A teacher of another tokenizer, from the file to the student."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from keyboard_lm_training.run.devices import placed
from keyboard_lm_training.run.run_log import read_log
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.trainer import Trainer
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.adapters import adapt, merge
from keyboard_lm_training.teach.adopt import Adopted, AdoptOptions, adopt
from keyboard_lm_training.teach.distill import Distillation, DistillOptions, describe_logits, load_teacher, store_logits
from keyboard_lm_training.teach.foreign_teacher import ForeignTeacher
from keyboard_lm_training.teach.llama_files import load_foreign
from keyboard_lm_training.teach.native_tuning import NativeTuning
from keyboard_lm_training.teach.networks import load_network
from keyboard_lm_training.teach.teacher_logits import StoredLogits
from keyboard_lm_training.teach.time_box import TimeBox, train_in_time

from keyboard_lm.cli import main
from keyboard_lm.errors import CheckpointError, ConfigError, TrainingError
from keyboard_lm.network.checkpoint import Checkpoint

_TUNING = NativeTuning(
    steps=4, windows_per_step=4, micro_batch=2, rank=2, warmup_steps=1, eval_interval_steps=2, eval_windows=1
)
_OPTIONS = AdoptOptions(_TUNING, counted_windows=40, fitted_windows=2)


@pytest.fixture
def data(tiny_run: TrainConfig, tiny_corpus: Path) -> TrainingData:
    return TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)


@pytest.fixture
def own(tiny_run: TrainConfig, data: TrainingData, tmp_path: Path) -> Checkpoint:
    with placed("cpu") as place:
        result = Trainer(tiny_run.with_changes(seed=7), data, tmp_path / "own-run", place).run()
    assert result.checkpoint is not None
    return result.checkpoint


@pytest.fixture
def file(foreign: Any, tmp_path: Path) -> Path:
    return foreign.write_gguf(tmp_path / "tiny.gguf", foreign.network, foreign.tokenizer)


def _adopted(file: Path, own: Checkpoint, data: TrainingData, folder: Path, **options: Any) -> Adopted:
    adopted = adopt(load_foreign(file), own, data, folder, _OPTIONS, **options)
    assert adopted is not None
    return adopted


def test_adapters_change_nothing_until_they_learn_and_merge_into_the_weights(foreign: Any) -> None:
    network = foreign.network
    ids = torch.tensor([[0, 4, 9, 250]])
    before = network(ids)
    adapt(network, 3, seed=1)
    torch.testing.assert_close(network(ids), before)
    for name, parameter in network.named_parameters():
        if name.endswith(".up"):
            parameter.data.normal_(generator=torch.Generator().manual_seed(2))
    learned = network(ids)
    assert not torch.allclose(learned, before)
    merge(network)
    torch.testing.assert_close(network(ids), learned, rtol=1e-3, atol=1e-3)
    assert not [name for name, _ in network.named_parameters() if name.endswith((".up", ".down"))]


def test_a_stopped_tuning_goes_on_bit_for_bit(file: Path, own: Checkpoint, data: TrainingData, tmp_path: Path) -> None:
    whole = _adopted(file, own, data, tmp_path / "whole").teacher
    steps: list[str] = []
    stopped = adopt(load_foreign(file), own, data, tmp_path / "parts", _OPTIONS, steps.append, lambda: len(steps) >= 2)
    assert stopped is None
    again = _adopted(file, own, data, tmp_path / "parts").teacher
    curves = [
        [(entry["step"], entry["loss"]) for entry in read_log(tmp_path / name / "tuning")]
        for name in ("whole", "parts")
    ]
    assert curves[0] == curves[1]
    assert whole.digest == again.digest
    with pytest.raises(TrainingError, match="is finished"):
        adopt(load_foreign(file), own, data, tmp_path / "parts", _OPTIONS)


def test_tuning_lowers_the_loss_on_the_text(file: Path, own: Checkpoint, data: TrainingData, tmp_path: Path) -> None:
    tuning = NativeTuning(
        steps=12, windows_per_step=8, micro_batch=8, rank=4, learning_rate=2e-2, warmup_steps=1, eval_interval_steps=0
    )
    assert adopt(load_foreign(file), own, data, tmp_path, AdoptOptions(tuning, 20, 1)) is not None
    losses = [entry["loss"] for entry in read_log(tmp_path / "tuning")]
    assert losses[-1] < losses[0] - 0.3


def test_a_mixture_is_no_worse_than_our_own_model_where_it_was_fitted(
    file: Path, own: Checkpoint, data: TrainingData, tmp_path: Path
) -> None:
    fit = _adopted(file, own, data, tmp_path / "teacher").fit
    assert fit.mixed_bits_per_byte <= fit.own_bits_per_byte + 1e-6
    assert all(mixed <= ours + 1e-6 for mixed, ours in zip(fit.mixed_nats, fit.own_nats, strict=True))


def test_its_answers_are_distributions_and_ours_where_it_knows_nothing(
    file: Path, own: Checkpoint, data: TrainingData, tmp_path: Path
) -> None:
    teacher = _adopted(file, own, data, tmp_path / "teacher").teacher
    windows = data.sampler.batch(0, 3)
    vocabulary = teacher.config.vocab_size
    top = teacher.open(torch.device("cpu")).top(windows, vocabulary - 1, 1.0)
    torch.testing.assert_close(top.log_q.exp().sum(1) + top.log_rest[:, 0].exp(), torch.ones(len(top.ids)))
    silent = ForeignTeacher(**{**_fields(teacher), "weights": (0.0, 0.0, 0.0)}).open(torch.device("cpu"))
    with torch.no_grad():
        expected = load_network(own, torch.device("cpu"))(torch.from_numpy(windows[:, :-1])).log_softmax(-1)
    found = silent.top(windows, 5, 1.0)
    torch.testing.assert_close(found.log_q, expected.flatten(0, 1).topk(5).values)


def _fields(teacher: ForeignTeacher) -> dict[str, Any]:
    return {name: getattr(teacher, name) for name in ForeignTeacher.__dataclass_fields__}


def test_its_answers_are_the_same_whatever_precision_the_student_has(
    file: Path, own: Checkpoint, data: TrainingData, tmp_path: Path
) -> None:
    device = torch.device("cpu")
    teacher = _adopted(file, own, data, tmp_path / "teacher").teacher.open(device)
    windows = data.sampler.batch(0, 4)
    plain = teacher.top(windows, 8, 1.0)
    with torch.autocast("cpu", torch.bfloat16):
        under = teacher.top(windows, 8, 1.0)
    assert torch.equal(under.ids, plain.ids)
    assert torch.equal(under.log_q, plain.log_q)


def test_a_student_learns_from_it_live_stored_and_again_and_again(
    file: Path, own: Checkpoint, data: TrainingData, tiny_run: TrainConfig, tmp_path: Path
) -> None:
    folder = _adopted(file, own, data, tmp_path / "teacher").teacher.folder
    teacher = load_teacher(folder)
    assert isinstance(teacher, ForeignTeacher)
    options = DistillOptions(alpha=0.9)
    config = tiny_run.with_changes(precision="fp32", optimizer="adamw")
    stored = StoredLogits(tmp_path / "logits", describe_logits(teacher, config, data, options, 32))
    num_windows = 16  # two steps of six
    with placed("cpu") as place:
        store_logits(teacher, config, data, stored, config.steps * config.sequences_per_step, place)
        Trainer(config, data, tmp_path / "live", place, objective=Distillation(teacher, options)).run()
        Trainer(config, data, tmp_path / "stored", place, objective=Distillation(teacher, options, stored)).run()
        repeated = data.repeating(num_windows, config.seed)
        objective = Distillation(teacher, options, stored, repeated.sampler)
        result = Trainer(config, repeated, tmp_path / "again", place, objective=objective).run()
        fresh = data.repeating(num_windows, config.seed, fresh_share=0.5)
        objective = Distillation(teacher, options, stored, fresh.sampler)
        Trainer(config.with_changes(steps=12), fresh, tmp_path / "fresh", place, objective=objective).run()
        with pytest.raises(TrainingError, match="must divide 32"):
            Trainer(config.with_changes(micro_batch=5), fresh, tmp_path / "odd", place, objective=objective)
    losses = {name: [entry["loss"] for entry in read_log(tmp_path / name)] for name in ("live", "stored", "again")}
    np.testing.assert_allclose(losses["live"], losses["stored"], rtol=1e-3)
    assert losses["again"][:2] == losses["stored"][:2]
    assert losses["again"][2:] != losses["stored"][2:]
    assert result.checkpoint is not None
    described = result.checkpoint.record()["objective"]
    assert described["repeated_windows"] == num_windows
    assert described["teacher"]["licence"] == "apache-2.0"


def test_hidden_states_of_another_network_are_no_target(
    file: Path, own: Checkpoint, data: TrainingData, tiny_run: TrainConfig, tmp_path: Path
) -> None:
    teacher = _adopted(file, own, data, tmp_path / "teacher").teacher
    objective = Distillation(teacher, DistillOptions(hidden_weight=1.0))
    with placed("cpu") as place, pytest.raises(TrainingError, match="hidden-state"):
        Trainer(tiny_run, data, tmp_path / "run", place, objective=objective)


def test_a_damaged_teacher_is_refused(file: Path, own: Checkpoint, data: TrainingData, tmp_path: Path) -> None:
    folder = _adopted(file, own, data, tmp_path / "teacher").teacher.folder
    (folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_teacher(folder).open(torch.device("cpu"))  # type: ignore[union-attr]
    (folder / "foreign.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        load_teacher(folder)
    with pytest.raises(ConfigError, match="learning_rate"):
        NativeTuning(learning_rate=0)


def test_the_commands(file: Path, own: Checkpoint, tiny_corpus: Path, tmp_path: Path) -> None:
    adopted = [
        "adopt", str(file), "--data", str(tiny_corpus), "--own", str(own.folder), "-o", str(tmp_path / "t"),
        "--steps", "2", "--windows-per-step", "2", "--seq-len", "16", "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(main, adopted, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    folder = json.loads(result.stdout)["teacher"]
    student = [
        "distill", "--teacher", folder, "--size", "2m", "--seq-len", "16", "--batch-tokens", "64", "--micro-batch", "2",
        "--steps", "4", "--data", str(tiny_corpus), "-o", str(tmp_path / "run"), "--logits", str(tmp_path / "logits"),
        "--taught-tokens", "128", "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(main, student, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert Checkpoint.load(tmp_path / "run" / "checkpoint").record()["objective"]["repeated_windows"] == 8


def test_a_time_box_gives_all_its_minutes_to_the_student_of_a_ready_teacher(
    file: Path, own: Checkpoint, data: TrainingData, tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path
) -> None:
    teacher = _adopted(file, own, data, tmp_path / "teacher").teacher
    now = 0.0

    def tick() -> bool:
        nonlocal now
        now += 1.0
        return False

    with placed("cpu") as place:
        phases = train_in_time(
            TimeBox(0.5), tiny_run, tiny_run.with_changes(average_snapshots=1),
            lambda config: TrainingData.load(tiny_corpus, config.seq_len, config.seed), tmp_path / "box", place,
            should_stop=tick, clock=lambda: now, ready_teacher=teacher,
        )  # fmt: skip
    assert phases is not None
    assert list(phases) == ["student"]
    run = json.loads((tmp_path / "box" / "student" / "run.json").read_text())
    assert run["objective"]["teacher_digest"] == teacher.digest
