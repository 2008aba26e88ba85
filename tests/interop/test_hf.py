"""Hugging Face's layout: what is written is read back, what does not fit is refused in one line."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from keyboard_lm.cli import main
from keyboard_lm.errors import CheckpointError, ConfigError, KeyboardLMError
from keyboard_lm.export.hf import export_folder, hf_config, import_folder, read_config
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import model_size
from keyboard_lm.network.reference import reference_logits

st = pytest.importorskip("safetensors.numpy")


@pytest.fixture(scope="module")
def exported(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hf") / "model"
    export_folder(Checkpoint.load(tiny_checkpoint), folder)
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A folder that a test may damage."""
    return Path(shutil.copytree(exported, tmp_path / "model"))


def test_there_and_back_is_the_same_model(tiny_checkpoint: Path, exported: Path, tmp_path: Path) -> None:
    before, after = Checkpoint.load(tiny_checkpoint), import_folder(exported, tmp_path / "back")
    assert after.config == before.config
    assert after.tokenizer.pieces == before.tokenizer.pieces
    one, two = before.weights(), after.weights()
    assert one.keys() == two.keys()
    assert all(one[name].dtype == two[name].dtype and np.array_equal(one[name], two[name]) for name in one)


def test_a_folder_that_mlx_lm_saved_again_says_what_it_lacks(folder: Path, tmp_path: Path) -> None:
    # mlx-lm 0.32 writes tokenizer.json and drops tokenizer.model; where that was ours, Llama's is no help.
    tokenizer = (folder / "tokenizer.model").rename(tmp_path / "kept.model")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json, all that mlx-lm leaves .* --tokenizer") as raised:
        import_folder(folder, tmp_path / "back")
    assert "Llama" not in str(raised.value)
    assert import_folder(folder, tmp_path / "back", tokenizer).tokenizer.pieces
    weights = st.load_file(folder / "model.safetensors")
    weights["transformer.layers.0.attn.qkv_proj.scales"] = np.ones((4, 2), np.float16)
    st.save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="quantized \\(MLX\\); import the folder that they were made from"):
        import_folder(folder, tmp_path / "again", tokenizer)


def test_heads_of_another_width_are_told_where_to_go(make_checkpoint, tiny_config, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "model", dataclasses.replace(tiny_config, head_dim=24))
    export_folder(checkpoint, tmp_path / "hf")
    result = CliRunner().invoke(main, ["import-hf", str(tmp_path / "hf"), "-o", str(tmp_path / "back")])
    assert result.exit_code == 0, result.stderr
    assert "--backend torch" in result.stdout
    assert "export-onnx" not in result.stdout
    again = CliRunner().invoke(main, ["export-onnx", str(tmp_path / "back")])
    assert again.exit_code == 1
    assert "heads of width 24 are no multiple of 16" in again.stderr.splitlines()[-1]


def test_shards_are_read_and_bfloat16_becomes_fp32(folder: Path, tmp_path: Path) -> None:
    weights = st.load_file(folder / "model.safetensors")
    names = sorted(weights)
    (folder / "model.safetensors").unlink()
    halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in halves.items():
        _save_bf16({name: weights[name] for name in part}, folder / file)
    index = {"metadata": {}, "weight_map": {name: file for file, part in halves.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    found = import_folder(folder, tmp_path / "back").weights()
    assert found.keys() == weights.keys()
    for name, value in weights.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], value.astype(np.float32), rtol=2**-7)


def _save_bf16(weights: dict[str, Any], path: Path) -> None:
    header, data = {}, b""
    for name, value in weights.items():
        raw = (value.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
        header[name] = {"dtype": "BF16", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize("size", ["270m", "450m", "1_1b", "3b"])
def test_the_published_sizes_are_read_from_their_configuration(size: str, tmp_path: Path) -> None:
    config = model_size(size)
    (tmp_path / "config.json").write_text(json.dumps({**hf_config(config), "auto_map": {}, "torch_dtype": "float32"}))
    assert read_config(tmp_path / "config.json") == config


def change(name: str, value: Any) -> Any:
    def damage(folder: Path) -> None:
        values = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**values, name: value}))

    return damage


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def reshape(folder: Path) -> None:
    weights = st.load_file(folder / "model.safetensors")
    weights["transformer.norm.weight"] = weights["transformer.norm.weight"][:-1]
    st.save_file(weights, folder / "model.safetensors")


def bare(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def drop(folder: Path) -> None:
    weights = st.load_file(folder / "model.safetensors")
    del weights["transformer.norm.weight"]
    st.save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (bare, "Llama-2-7b-hf"),
        (lambda folder: (folder / "tokenizer.model").write_bytes(b"no model"), "SentencePiece"),
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: (folder / "config.json").write_text("[]"), "not a JSON object"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has neither"),
        (truncate, "cannot be read"),
        (reshape, "transformer.norm.weight is"),
        (drop, "1 tensors are missing"),
        (change("model_type", "llama"), "model_type is 'llama'"),
        (change("activation_fn_name", "gelu"), "activation_fn_name"),
        (change("ffn_multipliers", [0.5, 3.9, 4.0]), "evenly spaced"),
        (change("ffn_multipliers", 4), "list of numbers"),
        (change("num_query_heads", [4, 4, 4]), "num_query_heads"),
        (change("vocab_size", 32_000), "pieces"),
        (change("model_dim", "wide"), "model_dim"),
    ],
)
def test_what_does_not_fit_is_one_clear_line_and_leaves_nothing(
    folder: Path, tmp_path: Path, damage: Any, words: str
) -> None:
    damage(folder)
    with pytest.raises(KeyboardLMError, match=words) as raised:
        import_folder(folder, tmp_path / "back")
    assert isinstance(raised.value, (CheckpointError, ConfigError))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "back").exists()


def test_mlx_lm_computes_the_same_step_by_step(exported: Path, tiny_checkpoint: Path) -> None:
    mx = pytest.importorskip("mlx.core")
    pytest.importorskip("mlx_lm")
    from mlx_lm.models.cache import make_prompt_cache
    from mlx_lm.utils import load_model

    checkpoint = Checkpoint.load(tiny_checkpoint)
    model, _ = load_model(exported, lazy=False)
    model.set_dtype(mx.float32)
    ids = np.random.default_rng(0).integers(3, checkpoint.config.vocab_size, 12).tolist()
    weights = {name: value.astype(np.float32) for name, value in checkpoint.weights().items()}
    expected = reference_logits(checkpoint.config, weights, ids)
    whole = np.array(model(mx.array([ids])))[0]
    cache = make_prompt_cache(model)
    steps = np.concatenate([np.array(model(mx.array([[token]]), cache=cache))[0] for token in ids])
    for got in (whole, steps):
        np.testing.assert_allclose(got, expected, atol=1e-4)
        assert (got.argmax(-1) == expected.argmax(-1)).all()
