"""Averaged checkpoints: the mean of runs that went on from one model, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from keyboard_lm_training.run.devices import placed
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.trainer import Trainer
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.averaging import average_checkpoints

from keyboard_lm.cli import main
from keyboard_lm.errors import CheckpointError
from keyboard_lm.network.checkpoint import RECORD_FILE, Checkpoint


def _run(config: TrainConfig, corpus: Path, folder: Path, initial: Checkpoint | None) -> Checkpoint:
    data = TrainingData.load(corpus, config.seq_len, config.seed)
    with placed("cpu") as place:
        return Trainer(config, data, folder, place, initial=initial).run().checkpoint


@pytest.fixture
def origin(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> Checkpoint:
    return _run(tiny_run, tiny_corpus, tmp_path / "origin", None)


@pytest.fixture
def branches(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, origin: Checkpoint) -> list[Checkpoint]:
    return [
        _run(tiny_run.with_changes(seed=seed, steps=steps), tiny_corpus, tmp_path / f"branch{seed}", origin)
        for seed, steps in ((1, 2), (2, 3), (3, 2))
    ]


def test_each_weight_is_the_mean_of_the_branches(branches: list[Checkpoint], tmp_path: Path) -> None:
    mean = average_checkpoints(branches, tmp_path / "mean")
    held = [checkpoint.weights() for checkpoint in branches]
    for name, value in mean.weights().items():
        expected = np.mean([np.asarray(weights[name], np.float64) for weights in held], axis=0)
        np.testing.assert_allclose(np.asarray(value, np.float64), expected, rtol=2**-10, atol=1e-7)
        assert value.dtype == held[0][name].dtype


def test_the_record_names_the_branches_and_where_they_began(
    branches: list[Checkpoint], origin: Checkpoint, tmp_path: Path
) -> None:
    record = average_checkpoints(branches, tmp_path / "mean").record()
    assert record["initial"]["digest"] == origin.digest
    assert [run["digest"] for run in record["average_of"]] == [branch.digest for branch in branches]
    assert [run["training"]["seed"] for run in record["average_of"]] == [1, 2, 3]
    assert record["tokens"] == sum(branch.record()["tokens"] for branch in branches)
    assert "heldout_bits_per_byte" not in record  # of no run, and the mean has not been measured


def test_runs_that_began_elsewhere_have_no_mean(
    branches: list[Checkpoint], origin: Checkpoint, tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path
) -> None:
    elsewhere = _run(tiny_run.with_changes(seed=4), tiny_corpus, tmp_path / "elsewhere", None)
    grandchild = _run(tiny_run.with_changes(seed=5), tiny_corpus, tmp_path / "grandchild", branches[0])
    for strangers in ([branches[0], elsewhere], [branches[1], grandchild], [*branches, elsewhere]):
        with pytest.raises(CheckpointError, match="did not begin at the same weights"):
            average_checkpoints(strangers, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
    average_checkpoints([grandchild, origin, *branches], tmp_path / "mean")  # each is reached by way of the others


def test_shares_say_how_much_each_counts(branches: list[Checkpoint], origin: Checkpoint, tmp_path: Path) -> None:
    mean = average_checkpoints([origin, branches[0]], tmp_path / "mean", [3, 1])
    for name, value in mean.weights().items():
        expected = 0.75 * np.asarray(origin.weights()[name], np.float64) + 0.25 * branches[0].weights()[name]
        np.testing.assert_allclose(np.asarray(value, np.float64), expected, rtol=2**-10, atol=1e-7)
    assert [run["share"] for run in mean.record()["average_of"]] == [0.75, 0.25]
    for wrong in ([1], [1, 0], [1, -1], [1, float("nan")]):
        with pytest.raises(CheckpointError, match="2 checkpoints take as many positive shares"):
            average_checkpoints([origin, branches[0]], tmp_path / "none", wrong)
    assert not (tmp_path / "none").exists()


def test_another_shape_or_one_checkpoint_alone_is_refused(
    branches: list[Checkpoint], tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="two checkpoints or more, not of 1"):
        average_checkpoints(branches[:1], tmp_path / "mean")
    wide = _run(tiny_run.with_changes(size="9m", steps=2), tiny_corpus, tmp_path / "wide", None)
    with pytest.raises(CheckpointError, match="another shape or tokenizer"):
        average_checkpoints([branches[0], wide], tmp_path / "mean")


def test_the_command_takes_runs_and_says_what_is_wrong_in_one_line(branches: list[Checkpoint], tmp_path: Path) -> None:
    runs = [str(branch.folder.parent) for branch in branches]
    done = CliRunner().invoke(main, ["average", *runs, "-o", str(tmp_path / "mean")])
    assert done.exit_code == 0, done.output
    assert len(json.loads((tmp_path / "mean" / RECORD_FILE).read_text())["average_of"]) == 3
    failed = CliRunner().invoke(main, ["average", runs[0], str(tmp_path / "none"), "-o", str(tmp_path / "mean")])
    assert failed.exit_code == 1
    assert failed.output.startswith("error: ")
    assert failed.output.count("\n") == 1
