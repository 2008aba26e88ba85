"""A folder that any web server can give: the page, and what it needs to predict in the browser itself."""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.backends import onnx_format as names
from keyboard_lm.errors import CheckpointError
from keyboard_lm.export import web_runtime
from keyboard_lm.export.onnx import DEFAULT_BLOCK_SIZE, effective_weights, sample_ids, store_weights
from keyboard_lm.export.web_graph import FOLDING_OPTION, build_web_graph
from keyboard_lm.export.web_page import page_files
from keyboard_lm.files import replaced_folder
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.reference import reference_logits
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.words.lexicon import Lexicon

FORMAT = 1
MANIFEST_FILE = "web.json"
MODEL_FOLDER, RUNTIME_FOLDER = "model", "runtime"
_LARGE = 20_000_000  # weights from which on a GPU may be faster; a step of the 9m model is too short to gain
_TOLERANCE = 1e-3  # of the logits, relative to their standard deviation: float rounding
_LEAST_GZIP_BYTES = 1024


@dataclass(frozen=True)
class WebReport:
    """What one export wrote.

    Attributes:
        num_bytes: of all files.
        num_gzip_bytes: of what a browser loads before the first bar, compressed.
        error: how far the graph's logits lie from numpy's over the same weights, at the worst place.
        num_files: how many.
        has_webgpu: whether the runtime for GPUs is there.
    """

    num_bytes: int
    num_gzip_bytes: int
    error: float
    num_files: int
    has_webgpu: bool


def export_web(
    checkpoint: Checkpoint,
    output: Path,
    language: str = "en",
    runtime: Path | None = None,
    has_webgpu: bool | None = None,
) -> WebReport:
    """Write the folder, whole or not at all; one of that name is replaced.

    Args:
        checkpoint: with weights.
        output: the folder.
        language: of the words.
        runtime: where onnxruntime-web is; see `keyboard_lm.export.web_runtime.read_runtime`.
        has_webgpu: whether the runtime for GPUs comes along; None where the network is large.

    Raises:
        CheckpointError: the weights are missing or damaged, the tokenizer is of a kind that the page cannot read, or
            the graph does not compute what it should.
        ConfigError: no such language.
        DataError: the runtime is not there.
        MissingExtraError: onnx or safetensors is not installed.
        WriteError: the folder cannot be written.
    """
    pieces = tokenizer_data(checkpoint)
    pack = load_language(language)
    weights = checkpoint.weights()
    if has_webgpu is None:
        has_webgpu = sum(value.size for value in weights.values()) >= _LARGE
    graph, error = _checked_graph(checkpoint)
    files = page_files()
    files |= {f"{RUNTIME_FOLDER}/{name}": data for name, data in web_runtime.read_runtime(runtime, has_webgpu).items()}
    rules = {
        "name": pack.name,
        "full_stop": pack.editor.full_stop,
        "capital_words": sorted(pack.editor.capital_words),
        "sentence_capitals": pack.editor.sentence_capitals,
    }
    files |= {
        f"{MODEL_FOLDER}/{name}": data
        for name, data in {
            "model.onnx": graph,
            "config.json": checkpoint.config.to_json().encode(),
            "tokenizer.json": json.dumps(pieces, ensure_ascii=False).encode(),
            "lexicon.bin": lexicon_data(pack.lexicon),
            "language.json": json.dumps(rules).encode(),
        }.items()
    }
    packed = {name: _gzip(data) for name, data in files.items() if len(data) >= _LEAST_GZIP_BYTES}
    manifest = {
        "format": FORMAT,
        "checkpoint": checkpoint.digest,
        "tokenizer": checkpoint.tokenizer.digest,
        "runtime": web_runtime.VERSION,
        "webgpu": has_webgpu,
        "files": {
            name: {
                "bytes": len(data),
                "gzip_bytes": len(packed.get(name, data)),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
            for name, data in sorted(files.items())
        },
    }
    files[MANIFEST_FILE] = json.dumps(manifest, indent=1).encode()
    with replaced_folder(output) as draft:
        for folder in (MODEL_FOLDER, RUNTIME_FOLDER):
            (draft / folder).mkdir()
        for name, data in (files | {f"{name}.gz": data for name, data in packed.items()}).items():
            (draft / name).write_bytes(data)
    first = [name for name in files if "webgpu" not in name and "asyncify" not in name]
    return WebReport(
        num_bytes=sum(map(len, files.values())),
        num_gzip_bytes=sum(len(packed.get(name, files[name])) for name in first),
        error=error,
        num_files=len(files),
        has_webgpu=has_webgpu,
    )


def tokenizer_data(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return `tokenizer.json`: the pieces with their scores, and the text form's proper nouns.

    Raises:
        CheckpointError: the tokenizer is not a unigram model with white space as suffix.
    """
    tokenizer = checkpoint.tokenizer
    if tokenizer.is_prefix_space or not _is_unigram(tokenizer):
        raise CheckpointError(
            f"{checkpoint.folder}: the page reads unigram tokenizers with the space behind a word, as `keyboard-lm "
            "corpus` makes them; serve this model with `keyboard-lm serve`"
        )
    return {
        "pieces": tokenizer.pieces,
        "scores": [float(np.float32(score)) for score in tokenizer.scores],
        "control_ids": sorted(tokenizer.control_ids),
        "byte_ids": sorted(tokenizer.byte_ids),
        "bos_id": tokenizer.bos_id,
        "eos_id": tokenizer.eos_id,
        "proper_nouns": sorted(tokenizer.form.proper_nouns),
    }


def _is_unigram(tokenizer: Tokenizer) -> bool:
    # Scores of merges are ranks: whole numbers, the next one less each time.
    scores = [score for i, score in enumerate(tokenizer.scores) if i not in tokenizer.control_ids | tokenizer.byte_ids]
    return any(score != int(score) for score in scores)


def lexicon_data(lexicon: Lexicon) -> bytes:
    """Return `lexicon.bin`: one line of JSON that says where each array lies, then the arrays, little-endian."""
    arrays: Mapping[str, NDArray[Any]] = {
        "capitals": lexicon.capitals.astype("<u8"),
        "letters": lexicon.letters,
        "num_children": np.diff(lexicon.first_child).astype(np.uint8),
        "num_entries": np.diff(lexicon.first_entry).astype(np.uint8),
        "frequencies": lexicon.frequencies,
        "flags": lexicon.flags,
    }

    def header(start: int) -> bytes:
        places: dict[str, dict[str, Any]] = {}
        offset = start
        for name, values in arrays.items():
            places[name] = {"type": values.dtype.str[1:], "offset": offset, "length": len(values)}
            offset += -(-values.nbytes // 8) * 8
        return json.dumps({"alphabet": lexicon.alphabet, "arrays": places}).encode()

    start = -(-(len(header(10**8)) + 1) // 8) * 8
    content = bytearray(header(start).ljust(start - 1) + b"\n")
    for values in arrays.values():
        content += values.tobytes().ljust(-(-values.nbytes // 8) * 8, b"\0")
    return bytes(content)


def _checked_graph(checkpoint: Checkpoint) -> tuple[bytes, float]:
    # The graph, and how far it is from its own weights in numpy when it is opened as the page opens it.
    stored = store_weights(checkpoint.weights(), 4, DEFAULT_BLOCK_SIZE)
    metadata = {names.META_FORMAT: str(names.GRAPH_FORMAT), names.META_CHECKPOINT: checkpoint.digest}
    graph = build_web_graph(checkpoint.config, stored, metadata)
    ids = sample_ids(checkpoint)
    visible = np.tri(len(ids), dtype=np.bool_)
    positions = list(range(len(ids)))
    expected = reference_logits(checkpoint.config, effective_weights(stored), ids, positions, visible)  # (T, V)
    got, num_left = _run_folded(graph, checkpoint, ids)
    rms = np.sqrt(np.square(got - expected).mean(-1))  # (T,)
    error = float((rms / expected.std(-1)).max())
    if not error <= _TOLERANCE or num_left:
        raise CheckpointError(
            f"{checkpoint.folder}: the graph for browsers computes something else than its weights (error {error:.3g}) "
            f"or is not unfolded at load ({num_left} nodes left); nothing was written, try another onnxruntime version"
        )
    return graph, error


def _run_folded(graph: bytes, checkpoint: Checkpoint, ids: list[int]) -> tuple[NDArray[np.float32], int]:
    # Logits (T, V) of a prefill, and how many weights the runtime did not unfold.
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(FOLDING_OPTION, "1")
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    config, length = checkpoint.config, len(ids)
    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(folded)
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        num_left = sum(node.op_type == "DequantizeLinear" for node in onnx.load(folded).graph.node)
    feeds: dict[str, NDArray[Any]] = {
        names.TOKEN_IDS: np.array([ids], np.int64),
        names.POSITIONS: np.arange(length)[None],
        names.BIAS: np.zeros((1, 1, length, length), np.float32),
        names.LAST_SLOT: np.array([length - 1], np.int32),
        names.NUM_SLOTS: np.array(length, np.int32),
        names.ROWS: np.arange(length),
    }
    for layer, heads in enumerate(config.num_kv_heads):
        for name in names.past_names(layer):
            feeds[name] = np.zeros((1, heads, config.max_context_length + 1, config.head_dim), np.float32)
    return session.run([names.LOGITS], feeds)[0][0], num_left


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)
