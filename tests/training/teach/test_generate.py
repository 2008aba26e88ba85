"""Text that a teacher writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from keyboard_lm_training.run.devices import Placement, placed
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.trainer import Trainer
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach import generate
from keyboard_lm_training.teach.generate import GenerateOptions, generate_conversations
from keyboard_lm_training.teach.networks import load_network

from keyboard_lm.cli import main
from keyboard_lm.errors import ConfigError
from keyboard_lm.network.checkpoint import Checkpoint

_CPU = Placement(torch.device("cpu"))
_OPTIONS = GenerateOptions(seq_len=64, batch=16, max_opening_tokens=40)


@pytest.fixture(scope="module")
def teacher(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    config = TrainConfig(size="2m", seq_len=64, batch_tokens=1024, micro_batch=16, steps=30, warmup_steps=2)
    with placed("cpu") as place:
        data = TrainingData.load(tiny_corpus, config.seq_len, config.seed)
        result = Trainer(config, data, tmp_path_factory.mktemp("teacher"), place).run()
    assert result.checkpoint is not None
    return result.checkpoint


def _conversations(
    teacher: Checkpoint, corpus: Path, seed: int, options: GenerateOptions = _OPTIONS
) -> list[list[str]]:
    data = TrainingData.load(corpus, options.seq_len, 1)
    found = generate_conversations(teacher, data, 300, options, seed, _CPU)
    return [[message.text for message in messages] for messages in found]


def test_the_same_seed_writes_the_same_text(teacher: Checkpoint, tiny_corpus: Path) -> None:
    first = _conversations(teacher, tiny_corpus, 1)
    assert first == _conversations(teacher, tiny_corpus, 1)
    assert first != _conversations(teacher, tiny_corpus, 2)
    assert all(text and "\n" not in text for messages in first for text in messages)


def test_a_tiny_nucleus_is_the_most_probable_continuation(teacher: Checkpoint, tiny_corpus: Path) -> None:
    options = GenerateOptions(seq_len=24, batch=4, max_opening_tokens=16, top_p=1e-6)
    data = TrainingData.load(tiny_corpus, options.seq_len, 1)
    network = load_network(teacher, _CPU.device)
    openings = generate._openings(data, 0, GenerateOptions(seq_len=24, batch=64, max_opening_tokens=16))
    assert openings
    ids, logprobs = generate._drawn(network, openings, options, torch.Generator().manual_seed(0))
    scores = network(torch.from_numpy(ids)).log_softmax(-1)  # (B, T, V)
    for row, opening in enumerate(openings):
        assert list(ids[row, : len(opening)]) == opening
        for place in range(len(opening), options.seq_len):
            best = scores[row, place - 1].max()
            assert scores[row, place - 1, ids[row, place]] == pytest.approx(float(best), abs=1e-4)
            assert logprobs[row, place] == pytest.approx(float(best), abs=1e-3)


def test_mistakes_in_the_options_are_all_named() -> None:
    with pytest.raises(ConfigError, match=r"batch.*temperature.*top_p.*drop_share"):
        GenerateOptions(batch=0, temperature=0, top_p=0, drop_share=1)


def test_the_command_writes_an_input_of_corpus(teacher: Checkpoint, tiny_corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "written.txt"
    arguments = ["--teacher", str(teacher.folder), "--data", str(tiny_corpus), "--tokens", "100", "-o", str(output)]
    refused = CliRunner().invoke(main, ["generate", *arguments])
    assert refused.exit_code == 1
    assert "trained on 64 tokens at once" in refused.output
    assert not output.exists()
    written = CliRunner().invoke(main, ["generate", *arguments, "--seq-len", "64"])
    assert written.exit_code == 0, written.output
    assert output.read_text().strip()
    missing = CliRunner().invoke(main, ["generate", *arguments[:-1], str(tmp_path / "no" / "x.txt"), "--seq-len", "64"])
    assert missing.exit_code == 1
    assert "cannot be written" in missing.output
