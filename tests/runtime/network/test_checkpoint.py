"""A checkpoint comes back as it was saved, or is refused with one clear error."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keyboard_lm.errors import CheckpointError, WriteError
from keyboard_lm.files import replaced_folder
from keyboard_lm.network import checkpoint as checkpoints
from keyboard_lm.network.checkpoint import (
    CONFIG_FILE,
    INDEX_FILE,
    ONNX_INT4_FILE,
    RECORD_FILE,
    WEIGHTS_FILE,
    Checkpoint,
    add_file,
    bundled_folder,
    save_checkpoint,
)
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tokenizer import PROPER_NOUNS_FILE, TOKENIZER_FILE, Tokenizer

MakeCheckpoint = Callable[..., Checkpoint]


@pytest.fixture
def copied(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint that a test may damage."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copied"))


def edit_index(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    index = json.loads((folder / INDEX_FILE).read_text())
    change(index)
    (folder / INDEX_FILE).write_text(json.dumps(index))


def relist(folder: Path, name: str) -> None:
    """Make the index agree with a file that was changed."""
    content = (folder / name).read_bytes()
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    edit_index(folder, lambda index: index["files"].update({name: entry}))


def refused(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match) as caught:
        Checkpoint.load(folder).weights()
    assert "\n" not in str(caught.value)


def test_saved_checkpoint_comes_back(tmp_path: Path, tiny_config: ModelConfig, tiny_tokenizer: Tokenizer) -> None:
    rng = np.random.default_rng(0)
    shapes = checkpoints.weight_shapes(tiny_config)
    weights = {name: rng.normal(size=shape).astype(np.float16) for name, shape in shapes.items()}
    saved = save_checkpoint(tmp_path / "model", tiny_config, tiny_tokenizer, weights, {"steps": 3})
    loaded = Checkpoint.load(tmp_path / "model")
    assert loaded.config == tiny_config
    assert loaded.tokenizer.digest == tiny_tokenizer.digest
    assert loaded.digest == saved.digest
    assert loaded.record() == {"steps": 3}
    back = loaded.weights()
    assert back.keys() == weights.keys()
    assert all(np.array_equal(back[name], weights[name]) and back[name].dtype == np.float16 for name in weights)


def test_digest_depends_on_the_weights_but_not_on_graphs_or_the_record(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    first = make_checkpoint(tmp_path / "first", seed=0)
    same = make_checkpoint(tmp_path / "same", seed=0)
    other = make_checkpoint(tmp_path / "other", seed=1)
    assert first.digest == same.digest == add_file(first, "extra.bin", b"x").digest
    assert first.digest != other.digest


def test_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "no such checkpoint folder")
    refused(tmp_path, "not a checkpoint")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "no such checkpoint folder")


@pytest.mark.parametrize("name", [CONFIG_FILE, TOKENIZER_FILE, PROPER_NOUNS_FILE, WEIGHTS_FILE])
def test_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    refused(copied, name)


@pytest.mark.parametrize("name", [CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE])
def test_truncated_file_is_named(copied: Path, name: str) -> None:
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:-10])
    refused(copied, rf"{name}: \d+ bytes, expected {len(content)}")


@pytest.mark.parametrize("name", [CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE])
def test_changed_byte_is_noticed(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    refused(copied, rf"{name}: does not match its digest")


def test_tokenizer_of_another_model_is_refused(copied: Path, tiny_tokenizer: Tokenizer) -> None:
    nouns = (*tiny_tokenizer.form.proper_nouns, "Berlin")
    other = Tokenizer((copied / TOKENIZER_FILE).read_bytes(), nouns)
    other.save(copied)
    relist(copied, PROPER_NOUNS_FILE)
    refused(copied, "belong to different models")


def test_weights_of_another_model_are_refused(copied: Path, make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "other", seed=1)
    shutil.copy(tmp_path / "other" / WEIGHTS_FILE, copied / WEIGHTS_FILE)
    relist(copied, WEIGHTS_FILE)
    refused(copied, "belong to different models")


def test_edited_configuration_is_refused(copied: Path) -> None:
    values = json.loads((copied / CONFIG_FILE).read_text())
    (copied / CONFIG_FILE).write_text(json.dumps({**values, "rope_freq_constant": 500.0}))
    relist(copied, CONFIG_FILE)
    refused(copied, "belong to different models")
    (copied / CONFIG_FILE).write_text(json.dumps({**values, "num_layers": 3}))
    relist(copied, CONFIG_FILE)
    refused(copied, "unknown key num_layers")
    (copied / CONFIG_FILE).write_text(json.dumps({**values, "vocab_size": 601}))
    relist(copied, CONFIG_FILE)
    refused(copied, "600 pieces but the network 601")
    (copied / CONFIG_FILE).write_text("[]")
    relist(copied, CONFIG_FILE)
    refused(copied, CONFIG_FILE)


def test_unknown_format_version_asks_for_an_update(copied: Path) -> None:
    edit_index(copied, lambda index: index.update(format_version=99))
    refused(copied, "format 99, but this version reads 1; update keyboard-lm")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version": 1}', '{"format_version": 1, "files": 3}'])
def test_unreadable_index_is_refused(copied: Path, text: str) -> None:
    (copied / INDEX_FILE).write_text(text)
    refused(copied, "cannot be read; restore the checkpoint")


@pytest.mark.parametrize("entry", [{}, {"bytes": "many", "sha256": ""}, 3, None])
def test_unreadable_index_entry_is_refused(copied: Path, entry: object) -> None:
    edit_index(copied, lambda index: index["files"].update({CONFIG_FILE: entry}))
    refused(copied, "cannot be read; restore the checkpoint")


def test_unlisted_file_is_refused(copied: Path) -> None:
    edit_index(copied, lambda index: index["files"].pop(CONFIG_FILE))
    refused(copied, f"does not list {CONFIG_FILE}")


def test_weights_that_do_not_fit_are_not_saved(
    tmp_path: Path, tiny_config: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    weights = {name: np.zeros(shape, np.float32) for name, shape in checkpoints.weight_shapes(tiny_config).items()}
    wrong = {**weights, "transformer.norm.weight": np.zeros(3, np.float32)}
    for changed, match in (
        ({name: value for name, value in weights.items() if "qkv" not in name}, "qkv_proj.weight is missing"),
        ({**weights, "lm_head.weight": np.zeros(1)}, "lm_head.weight is unknown"),
        (wrong, r"transformer.norm.weight is \(3,\), not \(64,\)"),
    ):
        with pytest.raises(CheckpointError, match=match):
            save_checkpoint(tmp_path / "model", tiny_config, tiny_tokenizer, changed, {})
        assert not (tmp_path / "model").exists()


def test_tokenizer_that_does_not_fit_is_not_saved(
    tmp_path: Path, tiny_config: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    import dataclasses

    config = dataclasses.replace(tiny_config, vocab_size=601)
    with pytest.raises(CheckpointError, match="600 pieces but the network 601"):
        save_checkpoint(tmp_path / "model", config, tiny_tokenizer, {}, {})


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_interrupted_save_leaves_the_old_checkpoint(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    old = make_checkpoint(tmp_path / "model", seed=0)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_index", fail)
        with pytest.raises((KeyboardInterrupt, WriteError)):
            make_checkpoint(tmp_path / "model", seed=1)
    assert Checkpoint.load(tmp_path / "model").digest == old.digest
    assert [path.name for path in tmp_path.iterdir()] == ["model"]  # no draft is left behind


def test_failed_rename_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if target == folder and not self.name.endswith(".old"):
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(WriteError, match="Permission denied"), replaced_folder(folder) as draft:
        (draft / "new").touch()
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_saving_again_replaces_the_whole_folder(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    add_file(make_checkpoint(tmp_path / "model", seed=0), ONNX_INT4_FILE, b"graph of the old weights")
    new = make_checkpoint(tmp_path / "model", seed=1)
    assert Checkpoint.load(tmp_path / "model").digest == new.digest
    assert not (tmp_path / "model" / ONNX_INT4_FILE).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_added_file_is_listed_and_checked(copied: Path) -> None:
    checkpoint = add_file(Checkpoint.load(copied), "notes.txt", b"hello")
    assert Checkpoint.load(copied).read_file("notes.txt") == b"hello"
    (copied / "notes.txt").write_bytes(b"hullo")
    with pytest.raises(CheckpointError, match="does not match its digest"):
        checkpoint.read_file("notes.txt")
    with pytest.raises(CheckpointError, match=r"has no other\.txt"):
        checkpoint.read_file("other.txt")


def test_folder_that_cannot_be_written_is_one_error(tmp_path: Path, tiny_checkpoint: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="cannot be written"), replaced_folder(tmp_path / "file" / "model"):
        pass
    gone = Checkpoint.load(Path(shutil.copytree(tiny_checkpoint, tmp_path / "gone")))
    shutil.rmtree(tmp_path / "gone")
    with pytest.raises(CheckpointError):
        add_file(gone, "x", b"")


def test_runtime_only_folder_needs_no_weights(copied: Path) -> None:
    (copied / WEIGHTS_FILE).unlink()
    edit_index(copied, lambda index: index["files"].pop(WEIGHTS_FILE))
    (copied / RECORD_FILE).unlink()
    edit_index(copied, lambda index: index["files"].pop(RECORD_FILE))
    checkpoint = Checkpoint.load(copied)
    assert checkpoint.record() == {}
    assert checkpoint.read_file(ONNX_INT4_FILE)
    with pytest.raises(CheckpointError, match=f"has no {WEIGHTS_FILE}"):
        checkpoint.weights()


def test_bundled_folder_lies_in_the_package() -> None:
    assert bundled_folder().parent.name == "keyboard_lm"
