"""Runs that end with the minutes, packed corpora, weights in parts."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from keyboard_lm_training.corpus.archive import even_documents, pack_corpus, unpack_corpus
from keyboard_lm_training.corpus.shards import HELDOUT, TRAIN, CorpusManifest, open_shard
from keyboard_lm_training.run.devices import placed
from keyboard_lm_training.run.run_log import read_log
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.trainer import CHECKPOINT_FOLDER, Trainer
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.time_box import TimeBox, TimedRun, join_checkpoint, split_checkpoint

from keyboard_lm.cli import main
from keyboard_lm.errors import CheckpointError, ConfigError, DataError
from keyboard_lm.network.checkpoint import WEIGHTS_FILE, Checkpoint


def _timed(config: TrainConfig, corpus: Path, run: Path, seconds: float, seconds_per_batch: list[float]) -> Trainer:
    # The clock goes on by what each micro-batch is said to take; the last value holds from there on.
    now = 0.0
    asked = 0
    data = TrainingData.load(corpus, config.seq_len, config.seed)
    with placed("cpu") as place:
        trainer = Trainer(config, data, run, place)
        timed = TimedRun(trainer, seconds, 0.5, lambda: now)

        def tick() -> bool:
            nonlocal now, asked
            now += seconds_per_batch[min(asked, len(seconds_per_batch) - 1)]
            asked += 1
            return False

        result = timed.run(tick)
    assert result.checkpoint is not None
    assert now <= seconds + 2 * config.sequences_per_step // config.micro_batch * seconds_per_batch[-1]
    return trainer


@pytest.mark.parametrize("pace", [[1.0], [9.0, 1.0], [1.0] * 20 + [2.0], [2.0] * 20 + [1.0]])
def test_a_run_ends_with_its_time_at_a_rate_of_nothing(
    pace: list[float], tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path
) -> None:
    config = tiny_run.with_changes(steps=10**9, average_snapshots=1, eval_interval_steps=0, schedule="wsd")
    trainer = _timed(config, tiny_corpus, tmp_path, 60.0, pace)
    rates = [entry["learning_rate"] for entry in read_log(tmp_path)]
    peak = config.learning_rate
    falling = [rate for rate in rates[2:] if rate < peak * 0.999]
    assert rates[2] == pytest.approx(peak)
    assert falling == sorted(falling, reverse=True)
    assert len(falling) >= 0.3 * len(rates)
    assert falling[-1] < 0.25 * peak
    assert trainer.step == trainer.config.steps < 60
    assert json.loads((tmp_path / "run.json").read_text())["training"]["steps"] == trainer.step


def test_mistakes_in_a_time_box_are_all_named() -> None:
    with pytest.raises(ConfigError, match=r"minutes.*teacher_share.*decay_share.*alpha"):
        TimeBox(0, 1, 0, 2)


def test_even_documents_are_whole_and_spread() -> None:
    rng = np.random.default_rng(0)
    documents = [np.array([1, *rng.integers(3, 99, rng.integers(1, 40))], np.uint16) for _ in range(500)]
    tokens = np.concatenate(documents)
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        kept = even_documents(tokens, share, 1)
        assert abs(len(kept) - share * len(tokens)) <= 40
        places = np.flatnonzero(kept == 1)
        whole = {document.tobytes() for document in documents}
        assert {piece.tobytes() for piece in np.split(kept, places)[1:]} <= whole
        half = even_documents(tokens[: len(tokens) // 2], share, 1)
        assert abs(len(half) - len(kept) / 2) <= 80


def test_a_packed_corpus_holds_what_an_epoch_reads(tiny_corpus: Path, tmp_path: Path) -> None:
    archive = tmp_path / "corpus.tar.xz"
    size, share = pack_corpus(tiny_corpus, archive, 1 << 26)
    assert size == archive.stat().st_size
    assert share == 1.0
    unpack_corpus(archive, tmp_path / "unpacked")
    before, after = CorpusManifest.load(tiny_corpus), CorpusManifest.load(tmp_path / "unpacked")
    for source in before.sources:
        kept = after.num_tokens(TRAIN, source.name)
        assert kept == pytest.approx(min(1, source.weight) * before.num_tokens(TRAIN, source.name), rel=0.1, abs=60)
    for old, new in zip(before.shards_of(HELDOUT), after.shards_of(HELDOUT), strict=True):
        assert np.array_equal(open_shard(tiny_corpus, old), open_shard(tmp_path / "unpacked", new))
        assert old.num_bytes == new.num_bytes
    windows = [TrainingData.load(f, 16, 1).sampler.windows_per_epoch for f in (tiny_corpus, tmp_path / "unpacked")]
    assert windows[1] == pytest.approx(windows[0], rel=0.1)
    smaller, share = pack_corpus(tiny_corpus, archive, size * 9 // 10)
    assert smaller <= size * 9 // 10
    assert share < 1


def test_what_is_no_archive_is_said_in_one_line(tiny_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        unpack_corpus(tmp_path / "absent.tar.xz", tmp_path / "out")
    archive = tmp_path / "corpus.tar.xz"
    pack_corpus(tiny_corpus, archive, 1 << 26)
    content = archive.read_bytes()
    for damaged in (b"", content[:100], content[: len(content) // 2], content[:200] + b"\0\0" + content[202:]):
        archive.write_bytes(damaged)
        with pytest.raises(DataError, match="corpus"):
            unpack_corpus(archive, tmp_path / "out")
    with tarfile.open(archive, "w:xz") as tar:
        entry = tarfile.TarInfo("../evil")
        entry.type = tarfile.SYMTYPE
        entry.linkname = "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(DataError, match="not the archive"):
        unpack_corpus(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="cannot be made so small"):
        pack_corpus(tiny_corpus, tmp_path / "small.tar.xz", 100)
    assert not list(tmp_path.glob("small*"))


def test_the_command_trains_teacher_and_student_and_its_parts_join(tiny_corpus: Path, tmp_path: Path) -> None:
    shape = tmp_path / "small.toml"
    shape.write_text("num_transformer_layers = 2\nmodel_dim = 64\nhead_dim = 16\nvocab_size = 512\n")
    archive = tmp_path / "corpus.tar.xz"
    pack_corpus(tiny_corpus, archive, 1 << 26)
    out = tmp_path / "out"
    sizes = ["--teacher-size", str(shape), "--size", str(shape), "--batch-tokens", "512", "--micro-batch", "4"]
    arguments = ["time-box", "--minutes", "0.1", "--data", str(archive), "-o", str(out), "--device", "cpu", *sizes]
    result = CliRunner().invoke(main, [*arguments, "--warmup-steps", "2", "--eval-tokens", "64", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads((out / "report.json").read_text())
    assert report["teacher"]["steps"] > 0
    assert report["student"]["heldout_bits_per_byte"]["all"] > 0
    whole = (out / "student" / CHECKPOINT_FOLDER / WEIGHTS_FILE).read_bytes()
    assert not (out / "weights" / WEIGHTS_FILE).exists()
    parts = split_checkpoint(out / "student" / CHECKPOINT_FOLDER, out / "weights", len(whole) // 3)
    assert [part.stat().st_size <= len(whole) // 3 for part in parts] == [True] * 4
    joined = CliRunner().invoke(main, ["join-weights", str(out / "weights")])
    assert joined.exit_code == 0, joined.output
    assert (out / "weights" / WEIGHTS_FILE).read_bytes() == whole
    assert not list((out / "weights").glob(f"{WEIGHTS_FILE}.*"))
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1
    assert "holds a finished student" in again.output


def test_a_missing_part_is_said_and_the_others_stay(tiny_run: TrainConfig, tiny_corpus: Path, tmp_path: Path) -> None:
    data = TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed)
    with placed("cpu") as place:
        Trainer(tiny_run, data, tmp_path / "run", place).run()
    parts = split_checkpoint(tmp_path / "run" / CHECKPOINT_FOLDER, tmp_path / "weights", 1 << 20)
    parts[1].unlink()
    with pytest.raises(CheckpointError, match="truncated or replaced"):
        join_checkpoint(tmp_path / "weights")
    assert sorted((tmp_path / "weights").glob(f"{WEIGHTS_FILE}.*")) == [p for p in parts if p != parts[1]]
    assert Checkpoint.load(tmp_path / "run" / CHECKPOINT_FOLDER).weights()
