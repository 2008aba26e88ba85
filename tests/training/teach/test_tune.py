"""Tuning: what weights are rounded to, and that rounded answers come nearer to the unrounded ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from keyboard_lm_training.run.devices import placed
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.trainer import CHECKPOINT_FOLDER, Trainer, TrainResult
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.grids import BlockStorage, PaletteStorage, Storage, fit_grids, stored
from keyboard_lm_training.teach.tune import TuneOptions, Tuning

from keyboard_lm.errors import ConfigError
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.reference import reference_logits

ROUGH = PaletteStorage(bits=2, group_size=16, table_bits=3)  # so rough that a few steps make a difference
CPU = torch.device("cpu")


@pytest.fixture
def full(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> Checkpoint:
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    with placed("cpu") as place:
        Trainer(tiny_run.with_changes(steps=30), data, tmp_path / "full", place).run()
    return Checkpoint.load(tmp_path / "full" / CHECKPOINT_FOLDER)


def tune(
    config: TrainConfig, corpus: Path, run: Path, full: Checkpoint, options: TuneOptions, stop: int = 0
) -> TrainResult:
    data = TrainingData.load(corpus, config.seq_len, config.seed)
    with placed("cpu") as place:
        trainer = Trainer(config, data, run, place, full, Tuning(full, options))
        return trainer.run(should_stop=lambda: bool(stop) and trainer.step >= stop)


@pytest.mark.parametrize("storage", [PaletteStorage(), PaletteStorage(group_size=0), BlockStorage(), BlockStorage(8)])
def test_a_grid_gives_the_nearest_of_what_an_exporter_stores(storage: Storage) -> None:
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(size=(64, 48)).astype(np.float32) for name in ("transformer.token_embeddings.weight", "x")
    }
    grids, exported = fit_grids(storage, weights, CPU), stored(storage, weights)
    for name, weight in weights.items():
        nearest = grids[name].nearest(torch.from_numpy(weight)).numpy()
        assert np.abs(nearest - weight).mean() <= np.abs(exported[name] - weight).mean() * 1.001
        again = grids[name].nearest(torch.from_numpy(nearest)).numpy()
        np.testing.assert_allclose(again, nearest, rtol=1e-6)


def test_rounded_answers_come_nearer_to_the_unrounded(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, full: Checkpoint
) -> None:
    config = tiny_run.with_changes(steps=60, optimizer="adamw", learning_rate=1e-3, weight_decay=0.0)
    result = tune(config, tiny_corpus, tmp_path / "tuned", full, TuneOptions("palette", ROUGH))
    assert result.checkpoint is not None
    ids = [1, *full.tokenizer.encode_message("we like the new dog and the good day here")]
    before, after = full.weights(), result.checkpoint.weights()
    wanted, rounded, tuned = (
        torch.from_numpy(reference_logits(full.config, weights, ids)).double().log_softmax(-1)
        for weights in ({n: w.astype(np.float32) for n, w in before.items()}, stored(ROUGH, before), after)
    )
    costs = [(wanted.exp() * (wanted - other)).sum(-1).mean() for other in (rounded, tuned)]  # KL, nats
    assert costs[1] < 0.7 * costs[0]
    for name, grid in fit_grids(ROUGH, before, CPU).items():  # what is kept lies on the grid
        kept = torch.from_numpy(after[name].astype(np.float32))
        np.testing.assert_allclose(grid.nearest(kept), kept, atol=2e-3)  # the checkpoint is fp16


def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path, full: Checkpoint
) -> None:
    config = tiny_run.with_changes(steps=6)
    whole = tune(config, tiny_corpus, tmp_path / "whole", full, TuneOptions())
    assert tune(config, tiny_corpus, tmp_path / "parts", full, TuneOptions(), stop=3).checkpoint is None
    parts = tune(config, tiny_corpus, tmp_path / "parts", full, TuneOptions())
    assert whole.checkpoint is not None
    assert parts.checkpoint is not None
    one, two = whole.checkpoint.weights(), parts.checkpoint.weights()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_options_that_make_no_sense_are_listed() -> None:
    with pytest.raises(ConfigError, match=r"scheme.*alpha"):
        TuneOptions("none", alpha=2)
