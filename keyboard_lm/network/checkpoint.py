"""The checkpoint folder: weights, configuration, tokenizer, training record, and the digest that ties them together.

    config.json          the network's shape
    tokenizer.model      SentencePiece model
    proper_nouns.txt     the text form's true-case list
    model.safetensors    weights under OpenELM's tensor names (absent from a runtime-only folder)
    model.int4.onnx      the runtime graph, when `keyboard-lm export-onnx` has made one
    record.json          how it was trained
    checkpoint.json      size and SHA-256 of each file above, and the digest of network and tokenizer

Opening one reads and checks the small files; the weights and graphs are checked when they are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import CheckpointError, ConfigError, MissingExtraError
from keyboard_lm.files import replaced_folder, write_file_whole, write_text_whole
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tensor_names import FINAL_NORM, TABLE, layer_prefix
from keyboard_lm.network.tokenizer import PROPER_NOUNS_FILE, TOKENIZER_FILE, Tokenizer

FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
RECORD_FILE = "record.json"
INDEX_FILE = "checkpoint.json"
ONNX_INT4_FILE = "model.int4.onnx"
PACKAGE_SUFFIX = ".mlpackage"  # Core ML's
ASSET_SUFFIX = ".aimodel"  # Core AI's

Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder whose small files have been read and checked.

    Attributes:
        folder: where it lies.
        config: the network's shape.
        tokenizer: the tokenizer it was trained with.
        digest: SHA-256 over configuration, tokenizer and weights; artefacts made from them carry it.
        files: size in bytes and SHA-256 of each file, by name.
        package: the Core ML package or Core AI asset in the folder that was named in its place, if one was.
    """

    folder: Path
    config: ModelConfig
    tokenizer: Tokenizer
    digest: str
    files: Mapping[str, tuple[int, str]]
    package: Path | None = None

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """Read and check everything but the weights.

        Args:
            folder: the checkpoint folder, or a Core ML package or Core AI asset that lies in one.

        Raises:
            CheckpointError: the folder is missing, damaged, or its parts belong to different models.
        """
        package = folder if folder.suffix in (PACKAGE_SUFFIX, ASSET_SUFFIX) else None
        if package is not None:
            folder = package.parent
        index, files = _read_index(folder)
        for name in (CONFIG_FILE, TOKENIZER_FILE, PROPER_NOUNS_FILE):
            if name not in files:
                raise CheckpointError(f"{folder / INDEX_FILE}: does not list {name}; restore the checkpoint")
            _check_file(folder, name, files[name])
        tokenizer = Tokenizer.load(folder)
        try:
            values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
            config = ModelConfig.from_dict(values, str(folder / CONFIG_FILE))
        except (ValueError, TypeError, ConfigError) as error:
            raise CheckpointError(f"{folder}: {error}") from None
        if tokenizer.vocab_size != config.vocab_size:
            raise CheckpointError(
                f"{folder}: the tokenizer has {tokenizer.vocab_size} pieces but the network {config.vocab_size}; "
                "they belong to different models"
            )
        weights_sha = files[WEIGHTS_FILE][1] if WEIGHTS_FILE in files else index.get("weights_sha256", "")
        digest = _digest(config, tokenizer, weights_sha)
        if digest != index["digest"]:
            raise CheckpointError(f"{folder}: the tokenizer, configuration and weights belong to different models")
        return cls(folder, config, tokenizer, digest, files, package)

    def read_file(self, name: str) -> bytes:
        """Return the content of one listed file after checking its digest.

        Raises:
            CheckpointError: the file is not part of the checkpoint, is missing, or has changed.
        """
        if name not in self.files:
            raise CheckpointError(f"{self.folder} has no {name}")
        return _check_file(self.folder, name, self.files[name])

    def checked_path(self, name: str) -> Path:
        """Return where one listed file is, after checking its digest: for those who would only keep a copy of it.

        Raises: as `read_file` does.
        """
        if name not in self.files:
            raise CheckpointError(f"{self.folder} has no {name}")
        path = self.folder / name
        try:
            with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
                _check_content(path, content, self.files[name])
        except (OSError, ValueError):  # an empty file cannot be mapped
            self.read_file(name)
        return path

    def weights(self) -> Weights:
        """Return the weights by tensor name.

        Raises:
            CheckpointError: there are none, they are damaged, or they do not fit the configuration.
            MissingExtraError: safetensors is not installed.
        """
        try:
            from safetensors.numpy import load
        except ImportError:
            raise MissingExtraError("safetensors", "train") from None
        weights = load(self.read_file(WEIGHTS_FILE))
        _check_shapes(self.config, weights, str(self.folder / WEIGHTS_FILE))
        return weights

    def record(self) -> dict[str, Any]:
        """Return the training record (an empty one where none was written)."""
        if RECORD_FILE not in self.files:
            return {}
        record: dict[str, Any] = json.loads(self.read_file(RECORD_FILE))
        return record


def save_checkpoint(
    folder: Path,
    config: ModelConfig,
    tokenizer: Tokenizer,
    weights: Mapping[str, NDArray[Any]],
    record: Mapping[str, Any],
) -> Checkpoint:
    """Write a checkpoint folder whole or not at all; an older one of the same name is replaced.

    Raises:
        CheckpointError: the tokenizer or the weights do not fit the network, or the folder cannot be written.
        MissingExtraError: safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    except ImportError:
        raise MissingExtraError("safetensors", "train") from None
    if tokenizer.vocab_size != config.vocab_size:
        raise CheckpointError(
            f"the tokenizer has {tokenizer.vocab_size} pieces but the network {config.vocab_size}; train them together"
        )
    _check_shapes(config, weights, "the weights to be saved")
    with replaced_folder(folder) as draft:
        tokenizer.save(draft)
        (draft / CONFIG_FILE).write_text(config.to_json(), encoding="utf-8")
        (draft / RECORD_FILE).write_text(json.dumps(dict(record), indent=2) + "\n", encoding="utf-8")
        try:
            save_file({name: np.ascontiguousarray(value) for name, value in weights.items()}, draft / WEIGHTS_FILE)
        except SafetensorError as error:  # what a full disk looks like through safetensors
            raise CheckpointError(f"{folder}: cannot be written ({error}); free space or choose another") from None
        (draft / WEIGHTS_FILE).chmod(0o644)  # safetensors makes it private
        write_index(draft, config, tokenizer)
    return Checkpoint.load(folder)


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight under OpenELM's tensor names; matrices are (outputs, inputs)."""
    dim, width = config.model_dim, config.head_dim
    shapes: dict[str, tuple[int, ...]] = {TABLE: (config.vocab_size, dim)}
    layers = zip(config.num_query_heads, config.num_kv_heads, config.ffn_dims, strict=True)
    for layer, (heads, kv_heads, ffn) in enumerate(layers):
        parts = {
            "attn.qkv_proj": ((heads + 2 * kv_heads) * width, dim),
            "attn.q_norm": (width,),
            "attn.k_norm": (width,),
            "attn.out_proj": (dim, heads * width),
            "attn_norm": (dim,),
            "ffn.proj_1": (2 * ffn, dim),  # [gate; up]
            "ffn.proj_2": (dim, ffn),
            "ffn_norm": (dim,),
        }
        shapes |= {layer_prefix(layer) + f"{name}.weight": shape for name, shape in parts.items()}
    return shapes | {FINAL_NORM: (dim,)}


def add_file(checkpoint: Checkpoint, name: str, content: bytes) -> Checkpoint:
    """Add (or replace) one file of a checkpoint, such as an exported graph, and list it in the index.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    folder = checkpoint.folder
    index, _ = _read_index(folder)
    write_file_whole(folder / name, content)
    index["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    write_text_whole(folder / INDEX_FILE, json.dumps(index, indent=2) + "\n")
    return Checkpoint.load(folder)


def write_index(folder: Path, config: ModelConfig, tokenizer: Tokenizer) -> None:
    """Write `checkpoint.json` for the files that lie in `folder`."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.name != INDEX_FILE and path.is_file() and not path.name.startswith("."):
            with path.open("rb") as stream:
                files[path.name] = {
                    "bytes": path.stat().st_size,
                    "sha256": hashlib.file_digest(stream, "sha256").hexdigest(),
                }
    weights_sha = str(files[WEIGHTS_FILE]["sha256"])
    values = {
        "format_version": FORMAT_VERSION,
        "digest": _digest(config, tokenizer, weights_sha),
        "tokenizer_digest": tokenizer.digest,
        "weights_sha256": weights_sha,
        "files": files,
    }
    write_text_whole(folder / INDEX_FILE, json.dumps(values, indent=2) + "\n")


def bundled_folder() -> Path:
    """Return the folder of the model that ships with the package."""
    return Path(str(resources.files("keyboard_lm").joinpath("bundled")))


def _read_index(folder: Path) -> tuple[dict[str, Any], dict[str, tuple[int, str]]]:
    # Returns the parsed index, and the size and digest of each file by name.
    path = folder / INDEX_FILE
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such checkpoint folder; train one with `keyboard-lm train`")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        version, _ = index["format_version"], index["digest"]
        files = {name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in index["files"].items()}
    except FileNotFoundError:
        raise CheckpointError(f"{folder}: not a checkpoint ({INDEX_FILE} is missing); choose another folder") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{path}: cannot be read; restore the checkpoint") from None
    if version != FORMAT_VERSION:
        raise CheckpointError(f"{path}: format {version}, but this version reads {FORMAT_VERSION}; update keyboard-lm")
    return index, files


def _check_file(folder: Path, name: str, expected: tuple[int, str]) -> bytes:
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); restore the checkpoint") from None
    _check_content(path, content, expected)
    return content


def _check_content(path: Path, content: bytes | mmap, expected: tuple[int, str]) -> None:
    if len(content) != expected[0]:
        raise CheckpointError(
            f"{path}: {len(content)} bytes, expected {expected[0]}; the file is truncated or replaced"
        )
    if hashlib.sha256(content).hexdigest() != expected[1]:
        raise CheckpointError(f"{path}: does not match its digest; it is damaged or belongs to another model")


def _digest(config: ModelConfig, tokenizer: Tokenizer, weights_sha: str) -> str:
    parts = (config.to_json(), tokenizer.digest, weights_sha)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _check_shapes(config: ModelConfig, weights: Mapping[str, NDArray[Any]], source: str) -> None:
    expected = weight_shapes(config)
    mistakes = [f"{name} is missing" for name in expected if name not in weights]
    mistakes += [f"{name} is unknown" for name in weights if name not in expected]
    mistakes += [
        f"{name} is {weights[name].shape}, not {shape}"
        for name, shape in expected.items()
        if name in weights and weights[name].shape != shape
    ]
    if mistakes:
        more = f"; and {len(mistakes) - 3} more" if len(mistakes) > 3 else ""
        raise CheckpointError(f"{source} do not fit the configuration: {'; '.join(mistakes[:3])}{more}")
