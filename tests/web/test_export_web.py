"""The exported folder holds what it says, and what cannot be exported is refused in one line."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from keyboard_lm.cli import main
from keyboard_lm.errors import CheckpointError, DataError
from keyboard_lm.export import web, web_runtime
from keyboard_lm.export.web_graph import build_web_graph
from keyboard_lm.export.web_page import page_files
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.quantize.blockwise import quantize
from keyboard_lm.touch.layout import layout_names, load_layout

pytest.importorskip("onnx")


def test_the_manifest_names_every_file_with_its_digest(web_folder: Path) -> None:
    manifest = json.loads((web_folder / web.MANIFEST_FILE).read_text(encoding="utf-8"))
    files = manifest["files"]
    on_disk = {str(path.relative_to(web_folder)) for path in web_folder.rglob("*") if path.is_file()}
    assert {name for name in on_disk if not name.endswith(".gz")} == {*files, web.MANIFEST_FILE}
    for name, entry in files.items():
        content = (web_folder / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
        packed = web_folder / f"{name}.gz"
        assert not packed.exists() or gzip.decompress(packed.read_bytes()) == content


def test_the_same_checkpoint_gives_the_same_bytes(
    web_folder: Path, tiny_checkpoint: Path, fake_runtime: Path, fake_digests: dict[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(web_runtime, "SHA256", fake_digests)
    web.export_web(Checkpoint.load(tiny_checkpoint), tmp_path / "again", runtime=fake_runtime)
    first = {path.relative_to(web_folder): path.read_bytes() for path in web_folder.rglob("*") if path.is_file()}
    again = tmp_path / "again"
    assert first == {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}


def test_the_graph_is_as_small_as_the_one_that_ships_and_computes_what_its_weights_say(
    tiny_checkpoint: Path, fake_runtime: Path, fake_digests: dict[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(web_runtime, "SHA256", fake_digests)
    checkpoint = Checkpoint.load(tiny_checkpoint)
    report = web.export_web(checkpoint, tmp_path / "page", runtime=fake_runtime, has_webgpu=True)
    assert report.error < 1e-4
    shipped = checkpoint.files["model.int4.onnx"][0]
    assert (tmp_path / "page" / "model" / "model.onnx").stat().st_size < 1.02 * shipped
    assert (tmp_path / "page" / "runtime" / web_runtime.WEBGPU_MODULE).is_file()


def test_a_matrix_of_odd_size_is_packed_whole() -> None:
    import onnx
    from onnx import numpy_helper

    from keyboard_lm.network.checkpoint import weight_shapes
    from keyboard_lm.network.config import ModelConfig

    config = ModelConfig(
        num_transformer_layers=1, model_dim=33, head_dim=32, vocab_size=7, max_context_length=8, ffn_dim_divisor=1
    )
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    stored = {name: quantize(value, 4, 32) if value.ndim == 2 else value for name, value in weights.items()}
    graph = onnx.load_from_string(build_web_graph(config, stored, {}))
    name = "transformer.token_embeddings.weight"
    table = next(each for each in graph.graph.initializer if each.name == name)
    codes = stored[name].codes.reshape(7, -1)[:, :33].astype(np.int8) - 8
    np.testing.assert_array_equal(numpy_helper.to_array(table).astype(np.int8), codes)


def test_layouts_of_the_page_are_those_of_the_engine() -> None:
    layouts = json.loads(page_files()["layouts.json"])
    assert set(layouts) == set(layout_names())
    for name, values in layouts.items():
        layout = load_layout(name)
        assert [(row["keys"], row["left"]) for row in values["rows"]] == [(row.keys, row.left) for row in layout.rows]
        assert values["space"] == {"left": layout.space_left, "width": layout.space_width}


def test_another_version_of_the_runtime_is_refused(fake_runtime: Path) -> None:
    with pytest.raises(DataError, match=r"is not that of onnxruntime-web 1\.30\.0"):
        web_runtime.read_runtime(fake_runtime, has_webgpu=False)


def test_the_runtime_is_read_from_the_npm_package(
    fake_runtime: Path, fake_digests: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_runtime, "SHA256", fake_digests)
    archive = tmp_path / "onnxruntime-web.tgz"
    with tarfile.open(archive, "w:gz") as packed:
        for file in fake_runtime.iterdir():
            packed.add(file, f"package/dist/{file.name}")
    for has_webgpu in (False, True):
        assert web_runtime.read_runtime(archive, has_webgpu) == web_runtime.read_runtime(fake_runtime, has_webgpu)


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_damaged_package_is_one_error(content: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "onnxruntime-web.tgz"
    archive.write_bytes(content)
    with pytest.raises(DataError, match="is not onnxruntime-web's npm package"):
        web_runtime.read_runtime(archive, has_webgpu=False)


def test_without_npm_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_runtime.shutil, "which", lambda name: None)
    with pytest.raises(DataError, match="npm is not installed"):
        web_runtime.read_runtime(None, has_webgpu=False)


def test_a_tokenizer_with_the_space_in_front_is_refused(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint.load(tiny_checkpoint)
    monkeypatch.setitem(vars(checkpoint.tokenizer), "is_prefix_space", True)
    with pytest.raises(CheckpointError, match="keyboard-lm serve"):
        web.tokenizer_data(checkpoint)


def test_an_unknown_language_is_one_line(tiny_checkpoint: Path, fake_runtime: Path, tmp_path: Path) -> None:
    arguments = ["export-web", str(tiny_checkpoint), "-o", str(tmp_path / "page"), "--language", "xx"]
    result = CliRunner().invoke(main, [*arguments, "--runtime", str(fake_runtime)])
    assert result.exit_code == 1
    assert "no language 'xx'" in result.output
    assert not (tmp_path / "page").exists()
