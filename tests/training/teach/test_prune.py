"""An OpenELM cut out of a Llama: which parts stay, and what they compute."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from keyboard_lm_training.run.run_log import read_log
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.llama_files import ForeignModel
from keyboard_lm_training.teach.native_text import NativeText
from keyboard_lm_training.teach.prune import Importance, measure_importance, prune

from keyboard_lm.errors import TrainingError
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.model import OpenELM
from keyboard_lm.network.tokenizer import Tokenizer


@pytest.fixture
def model(foreign: Any) -> ForeignModel:
    return ForeignModel(foreign.network, foreign.tokenizer, 0, {})


@pytest.fixture
def windows(tiny_corpus: Path, tiny_run: TrainConfig) -> np.ndarray:
    return TrainingData.load(tiny_corpus, tiny_run.seq_len, tiny_run.seed).sampler.batch(0, 12)


def _shape(tokenizer: Tokenizer, layers: int = 1, heads: float = 0.5, ffn: float = 0.75) -> ModelConfig:
    return ModelConfig(
        layers, 32, 8, tokenizer.vocab_size, 16, num_gqa_groups=2, qkv_multipliers=(heads, heads),
        ffn_multipliers=(ffn, ffn), ffn_dim_divisor=8, rope_freq_constant=1000.0, rms_norm_eps=1e-5,
    )  # fmt: skip


def _importance(model: ForeignModel, tokenizer: Tokenizer, windows: np.ndarray) -> Importance:
    return measure_importance(model.network, NativeText(tokenizer, model.tokenizer, 0), windows)


def test_parts_that_do_nothing_go(model: ForeignModel, tiny_tokenizer: Tokenizer, windows: np.ndarray) -> None:
    layers = model.network.model.layers
    layers[0].mlp.down_proj.weight.zero_()
    layers[0].self_attn.o_proj.weight.zero_()
    silent = torch.arange(0, 48, 2)
    layers[1].mlp.down_proj.weight[:, silent] = 0
    layers[1].self_attn.o_proj.weight[:, :16] = 0  # the first key-value head's
    found = _importance(model, tiny_tokenizer, windows)
    assert found.influence[0] < 1e-6 < found.influence[1]
    weights = prune(model, found, _shape(tiny_tokenizer), tiny_tokenizer)
    loud = torch.arange(1, 48, 2)
    prefix = "transformer.layers.0."
    np.testing.assert_array_equal(
        weights[f"{prefix}ffn.proj_2.weight"], layers[1].mlp.down_proj.weight[:, loud].numpy().astype(np.float16)
    )
    np.testing.assert_array_equal(
        weights[f"{prefix}attn.out_proj.weight"], layers[1].self_attn.o_proj.weight[:, 16:].numpy().astype(np.float16)
    )


def test_a_whole_cut_computes_what_the_llama_does_up_to_the_norm_of_queries_and_keys(
    model: ForeignModel, tiny_tokenizer: Tokenizer, windows: np.ndarray
) -> None:
    # Values of attention do not depend on queries where every token sees itself alone: windows of one token.
    config = dataclasses.replace(_shape(tiny_tokenizer, 2, 1.0, 1.5), vocab_size=tiny_tokenizer.vocab_size)
    found = _importance(model, tiny_tokenizer, windows)
    student = OpenELM(config).eval()
    weights = prune(model, found, config, tiny_tokenizer)
    student.load_state_dict({name: torch.from_numpy(value).float() for name, value in weights.items()})
    bos = torch.tensor([[tiny_tokenizer.bos_id]])
    with torch.no_grad():
        torch.testing.assert_close(student.hidden(bos), model.network.hidden(torch.tensor([[0]])), rtol=1e-2, atol=1e-2)
        q = student.transformer.layers[0].attn.q_norm(torch.randn(50, 8))
    assert abs(float(q.square().mean(-1).sqrt().mean()) / found.query_rms[0] - 1) < 1e-2


def test_a_piece_that_is_one_native_token_has_its_row(
    model: ForeignModel, tiny_tokenizer: Tokenizer, windows: np.ndarray
) -> None:
    found = _importance(model, tiny_tokenizer, windows)
    table = prune(model, found, _shape(tiny_tokenizer), tiny_tokenizer)["transformer.token_embeddings.weight"]
    rows = model.network.table.numpy().astype(np.float16)
    np.testing.assert_array_equal(table[tiny_tokenizer.bos_id], rows[0])
    np.testing.assert_array_equal(table[tiny_tokenizer.eos_id], rows[model.tokenizer.token_to_id("\u010a")])
    piece = tiny_tokenizer.pieces.index("to\u2581")
    np.testing.assert_array_equal(table[piece], rows[model.tokenizer.token_to_id("\u0120to")])


def test_a_shape_that_is_not_inside_is_refused(
    model: ForeignModel, tiny_tokenizer: Tokenizer, windows: np.ndarray
) -> None:
    found = _importance(model, tiny_tokenizer, windows)
    for changes, reason in (
        ({"model_dim": 64}, "model_dim must be 32"),
        ({"num_transformer_layers": 3}, "has 2 layers"),
        ({"rope_freq_constant": 1e4}, "rope_freq_constant must be 1000"),
        ({"ffn_multipliers": (3.0, 3.0)}, "48 wide"),
        ({"num_gqa_groups": 1}, "num_gqa_groups must be 2"),
    ):
        with pytest.raises(TrainingError, match=reason):
            prune(model, found, dataclasses.replace(_shape(tiny_tokenizer), **changes), tiny_tokenizer)


def test_train_begins_with_what_was_cut_out(foreign: Any, tiny_corpus: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from keyboard_lm.cli import main

    folder = foreign.write_folder(tmp_path / "hf", foreign.network, foreign.tokenizer)
    shape = tmp_path / "shape.toml"
    shape.write_text(
        "num_transformer_layers = 1\nmodel_dim = 32\nhead_dim = 8\nvocab_size = 600\nnum_gqa_groups = 2\n"
        "qkv_multipliers = [0.5, 0.5]\nffn_multipliers = [0.75, 0.75]\nffn_dim_divisor = 8\n"
        "rope_freq_constant = 1000.0\nrms_norm_eps = 1e-5\n"
    )
    command = [
        "train", "--size", str(shape), "--init-from", str(folder), "--data", str(tiny_corpus), "--seq-len", "16",
        "--batch-tokens", "64", "--micro-batch", "4", "--steps", "2", "-o", str(tmp_path / "run"),
    ]  # fmt: skip
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "pruned" / "config.json").is_file()
    assert read_log(tmp_path / "run")[-1]["step"] == 2
    both = CliRunner().invoke(main, [*command, "--init", str(tmp_path / "run" / "pruned")])
    assert both.exit_code != 0
