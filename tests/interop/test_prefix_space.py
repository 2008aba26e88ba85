"""A checkpoint with Llama's kind of tokenizer, from Hugging Face's layout through every command that takes one."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sentencepiece import SentencePieceTrainer

from keyboard_lm.cli import main
from keyboard_lm.export.hf import hf_config, import_folder
from keyboard_lm.network.checkpoint import Checkpoint, weight_shapes
from keyboard_lm.network.config import ModelConfig

VOCAB_SIZE = 700
Run = Callable[..., str]


@pytest.fixture(scope="module")
def imported(sentences: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, and byte-fallback BPE with the space in front, as Llama's."""
    numpy_files = pytest.importorskip("safetensors.numpy")
    folder = tmp_path_factory.mktemp("llama") / "model"
    folder.mkdir()
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, vocab_size=VOCAB_SIZE, model_type="bpe",
        byte_fallback=True, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    config = ModelConfig(
        num_transformer_layers=2, model_dim=64, head_dim=32, vocab_size=VOCAB_SIZE, max_context_length=128,
        ffn_dim_divisor=64,
    )  # fmt: skip
    (folder / "config.json").write_text(json.dumps(hf_config(config)))
    rng = np.random.default_rng(0)
    weights = {
        name: (rng.normal(size=shape) * shape[-1] ** -0.5 if len(shape) > 1 else rng.uniform(0.7, 1.4, shape)).astype(
            np.float32
        )
        for name, shape in weight_shapes(config).items()
    }
    numpy_files.save_file(weights, folder / "model.safetensors")
    return import_folder(folder, folder.parent / "checkpoint").folder


@pytest.fixture
def run() -> Run:
    def run_it(*arguments: object) -> str:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return run_it


def test_the_bar_and_the_evaluation_run_on_it(imported: Path, run: Run) -> None:
    assert Checkpoint.load(imported).tokenizer.is_prefix_space
    run("export-onnx", imported)
    bar = json.loads(run("suggest", "--model", imported, "--json", "I am go"))
    assert any(slot["text"].lower().startswith("go") for slot in bar["slots"])
    figures = json.loads(run("eval", "next-word", "--model", imported, "--limit", "2", "--jobs", "1", "--json"))
    assert figures["figures"]["next-word"]["all"]["words"]["value"] > 0


def test_it_is_exported_like_any_other(imported: Path, tmp_path: Path, run: Run) -> None:
    pytest.importorskip("torch")
    run("export-mlx", imported, "--bits", "16", "-o", tmp_path / "mlx")
    assert json.loads((tmp_path / "mlx" / "tokenizer_config.json").read_text())["tokenizer_class"] == "LlamaTokenizer"
    run("export-hf", imported, "-o", tmp_path / "hf")
    run("import-hf", tmp_path / "hf", "-o", tmp_path / "again")
    assert Checkpoint.load(tmp_path / "again").config == Checkpoint.load(imported).config
    pytest.importorskip("coremltools")
    run("export-coreml", imported, "--bits", "16", "--functions", "decode,tree4", "-o", tmp_path / "coreml")
    bar = json.loads(run("suggest", "--backend", "coreml", "--model", tmp_path / "coreml", "--json", "I am go"))
    assert bar["slots"]
