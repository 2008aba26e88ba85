"""MLX folders, GGUF files and the parity of all of them, on a tiny model."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from keyboard_lm.backends.mlx_format import group_size
from keyboard_lm.backends.torch import TorchBackend
from keyboard_lm.cli import main
from keyboard_lm.errors import CheckpointError, ConfigError, WriteError
from keyboard_lm.evaluation.parity import Other, compare, logits_of, measure, prompts
from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.export import gguf, hf, mlx
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import ModelConfig


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return Checkpoint.load(tiny_checkpoint)


def test_the_tokenizer_of_an_exported_folder_cuts_text_alike(checkpoint: Checkpoint, tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    mlx.export_folder(checkpoint, tmp_path / "mlx", bits=16)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "mlx" / "tokenizer.json"))
    ours = checkpoint.tokenizer
    for text in ("I am going to the shop, it's 3.5!", "héllo 😂", "a", "x  y", "▁ odd"):
        form = ours.form.encode(text)
        ids = theirs.encode(form).ids
        assert ids == [ours.bos_id, *ours.encode_tokens(form.split())]
        assert theirs.decode(ids) == " ".join(ours.decode_tokens(ids))


def test_transformers_reads_our_ids_from_an_exported_folder(checkpoint: Checkpoint, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    hf.export_folder(checkpoint, tmp_path / "hf")
    ours = checkpoint.tokenizer
    forms = [ours.form.encode(text) for text in ("I am going to the shop, it's 3.5!", "see you", "a")]
    expected = [[ours.bos_id, *ours.encode_tokens(form.split())] for form in forms]
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    assert [loaded(form)["input_ids"] for form in forms] == expected
    # The class that reads a SentencePiece model with Llama's conventions does so without a word, and wrong (5.24).
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "tokenizer.model").write_bytes((tmp_path / "hf" / "tokenizer.model").read_bytes())
    other = transformers.LlamaTokenizer.from_pretrained(tmp_path / "llama")
    assert all(other(form)["input_ids"] != ids for form, ids in zip(forms, expected, strict=True))


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_mlx_lm_loads_what_is_exported(checkpoint: Checkpoint, tmp_path: Path, bits: int) -> None:
    mx = pytest.importorskip("mlx.core")
    pytest.importorskip("mlx_lm")
    from mlx_lm.utils import load_model

    from keyboard_lm.backends.mlx import MlxBackend

    report = mlx.export_folder(checkpoint, tmp_path / "model", bits)
    assert report["num_bytes"] > 0
    model, config = load_model(tmp_path / "model", lazy=False)
    assert ("quantization" in config) == (bits < 16)
    ids = list(range(3, 15))
    theirs = np.array(model(mx.array([ids])).astype(mx.float32))[0, -1]
    ours = MlxBackend.load(checkpoint, bits=bits).prefill(ids)
    np.testing.assert_allclose(theirs, ours, atol=0.1)  # both in fp16


def test_rows_that_mlx_has_no_group_for_are_refused() -> None:
    config = ModelConfig(num_transformer_layers=2, model_dim=40, head_dim=8, vocab_size=64, ffn_dim_divisor=8)
    with pytest.raises(ConfigError, match="--bits 16"):
        group_size(config)


@pytest.mark.parametrize("kind", gguf.TYPES)
def test_llama_cpp_computes_what_the_weights_say(checkpoint: Checkpoint, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("gguf")
    pytest.importorskip("llama_cpp")
    from keyboard_lm.backends.llama_cpp import LlamaCppBackend

    assert gguf.export_file(checkpoint, tmp_path / "model.gguf", kind) == (tmp_path / "model.gguf").stat().st_size
    backend = LlamaCppBackend(tmp_path / "model.gguf", checkpoint.config)
    asked = prompts(checkpoint.tokenizer, shipped_texts(), 4, 24)
    row = compare(kind, logits_of(backend, asked), logits_of(TorchBackend.load(checkpoint), asked), 0.0, 0.0)
    assert row.mean_kl_nats < {"f16": 1e-3, "q8_0": 1e-2, "q4_0": 0.5}[kind]


def test_llama_cpp_cuts_text_that_ends_in_a_space_into_our_pieces(checkpoint: Checkpoint, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    llama = pytest.importorskip("xllamacpp", reason="xllamacpp, llama.cpp with its server, is not installed")
    gguf.export_file(checkpoint, tmp_path / "model.gguf", "f16")
    params = llama.CommonParams()
    params.model.path = str(tmp_path / "model.gguf")
    params.n_ctx, params.n_parallel, params.cpuparams.n_threads, params.warmup = 128, 1, 1, False
    server = llama.Server(params)

    def ids(text: str) -> list[int]:
        content = json.dumps({"content": text, "add_special": True}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{server.listening_address}/tokenize", content, headers)
        with urllib.request.urlopen(request) as answer:
            found: list[int] = json.load(answer)["tokens"]
        return found

    tokenizer = checkpoint.tokenizer
    messages = [message for text in shipped_texts() for document in text.documents for message in document][::97]
    known = [message for message in messages if tokenizer.byte_ids.isdisjoint(tokenizer.encode_message(message))]
    assert len(known) > 10
    for message in known:
        form = tokenizer.form.encode(message)
        expected = [tokenizer.bos_id, *tokenizer.encode_message(message)[:-1]]
        assert ids(form + " ") == expected
        assert ids(form) != expected  # what the command's last line is about
    assert tokenizer.pieces.index("<unk>") in ids("\u0416 ")  # where ours are bytes


def test_a_gguf_file_is_whole_or_not_there(checkpoint: Checkpoint, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    with pytest.raises(ConfigError, match="q5"):
        gguf.export_file(checkpoint, tmp_path / "x.gguf", "q5")
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="cannot be written"):
        gguf.export_file(checkpoint, tmp_path / "file" / "x.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_model_equals_itself_and_a_row_that_cannot_run_says_why(checkpoint: Checkpoint) -> None:
    def broken() -> Any:
        raise CheckpointError("no such thing here")

    backend = TorchBackend.load(checkpoint)
    asked = prompts(checkpoint.tokenizer, shipped_texts(), 3, 24)
    same: Callable[[], Any] = lambda: TorchBackend.load(checkpoint)  # noqa: E731
    others = [Other("same", same), Other("none", broken)]
    rows = measure(backend, others, checkpoint.tokenizer, asked, ["the cat"])
    assert [row.name for row in rows] == ["torch fp32 (reference)", "same", "none"]
    assert rows[1].max_logit_change < 1e-5
    assert rows[1].top3_agreement == 1
    assert rows[1].savings_change == 0
    assert rows[2].reason == "no such thing here"


def test_a_change_is_measured_as_it_was_made() -> None:
    expected = np.log(np.array([[0.5, 0.25, 0.125, 0.0625, 0.0625]], np.float32))
    row = compare("x", expected + 3, expected, 40.0, 41.0)  # the same for all: softmax does not see it
    assert (row.max_logit_change, row.mean_kl_nats) == pytest.approx((0, 0), abs=1e-6)
    got = expected.copy()
    got[0, 2], got[0, 3] = got[0, 3], got[0, 2]
    row = compare("x", got, expected, 40.0, 41.0)
    assert row.top3_agreement == pytest.approx(2 / 3)
    assert row.mean_kl_nats == pytest.approx(0.0625 * np.log(2), rel=1e-5)
    assert row.savings_change == -1


def test_parity_of_the_command_line(tiny_checkpoint: Path) -> None:
    arguments = ["parity", str(tiny_checkpoint), "--prompts", "3", "--messages", "1", "--only", "onnx", "--json"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert [row["name"] for row in rows] == ["torch fp32 (reference)", "onnx fp32", "onnx int8", "onnx int4"]
    assert rows[1]["max_logit_change"] < 1e-3


def test_the_doctor_knows_what_is_installed() -> None:
    report = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)
    assert report["versions"]["numpy"] == np.__version__
    assert "parameters" in report["bundled_model"]
    assert not report["abilities"][0]["missing"]
    assert all(each["install"] for each in report["abilities"] if each["missing"])
    assert "yes suggest" in CliRunner().invoke(main, ["doctor"]).stdout


def test_the_core_imports_none_of_it() -> None:
    script = (
        "import sys; from keyboard_lm.keyboard.session import Session; from keyboard_lm.keyboard.events import Typed;"
        "s = Session.open(); s.apply(Typed('a')); s.suggest();"
        "print([n for n in ('torch', 'mlx', 'mlx_lm', 'gguf', 'llama_cpp', 'coremltools', 'safetensors', 'onnx')"
        " if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
