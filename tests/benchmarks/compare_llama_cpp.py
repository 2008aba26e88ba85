"""Time our ONNX backend against llama.cpp on the same network, in one process, taking turns.

Not a test, and nothing here is a dependency of the project. In an environment of its own:

    pip install llama-cpp-python gguf -e '.[onnx]'
    python tests/benchmarks/compare_llama_cpp.py CHECKPOINT [--threads 2] [--rounds 20]

CHECKPOINT needs its weights and its int4 graph. The weights are written as a GGUF file in Q4_0 (architecture
``openelm``), which is also 4 bits in blocks of 32, but rounded plainly and with fp16 scales. Prints a table, then one
JSON line.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np

from keyboard_lm.backends.onnx import OnnxBackend
from keyboard_lm.checkpoint import Checkpoint
from keyboard_lm.reference import reference_logits

FIRST_LENGTH, LAST_LENGTH = 32, 64  # decode steps are timed at these cache lengths
SKIPPED_STEPS = 4  # at each turn's start, while the caches still hold the other engine's weights
PAUSE_S = 0.05  # lets the other engine's threads stop spinning


def write_gguf(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint's weights as Q4_0 under llama.cpp's tensor names; norms stay fp32."""
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    writer = gguf.GGUFWriter(path, "openelm")
    writer.add_block_count(config.num_transformer_layers)
    writer.add_context_length(config.max_context_length)
    writer.add_embedding_length(config.model_dim)
    writer.add_feed_forward_length(list(config.ffn_dims))
    writer.add_head_count(list(config.num_query_heads))
    writer.add_head_count_kv(list(config.num_kv_heads))
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_freq_constant)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    kinds = {**dict.fromkeys(tokenizer.byte_ids, gguf.TokenType.BYTE),
             **dict.fromkeys(tokenizer.control_ids, gguf.TokenType.CONTROL)}  # fmt: skip
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(tokenizer.pieces))
    writer.add_token_scores([0.0] * tokenizer.vocab_size)
    writer.add_token_types([kinds.get(i, gguf.TokenType.NORMAL) for i in range(tokenizer.vocab_size)])
    for name, values in gguf_tensors(checkpoint).items():
        if values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            kind = gguf.GGMLQuantizationType.Q4_0
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_tensors(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Return the fp32 weights under llama.cpp's names; proj_1 is cut into its gate and its up half."""
    weights = {name: values.astype(np.float32) for name, values in checkpoint.weights().items()}
    tensors = {
        "token_embd.weight": weights["transformer.token_embeddings.weight"],
        "output_norm.weight": weights["transformer.norm.weight"],
    }
    ours = {
        "attn_norm": "attn_norm", "attn_qkv": "attn.qkv_proj", "attn_q_norm": "attn.q_norm",
        "attn_k_norm": "attn.k_norm", "attn_output": "attn.out_proj", "ffn_norm": "ffn_norm", "ffn_down": "ffn.proj_2",
    }  # fmt: skip
    for layer in range(checkpoint.config.num_transformer_layers):
        prefix = f"transformer.layers.{layer}"
        for theirs, name in ours.items():
            tensors[f"blk.{layer}.{theirs}.weight"] = weights[f"{prefix}.{name}.weight"]
        gate, up = np.split(weights[f"{prefix}.ffn.proj_1.weight"], 2)
        tensors[f"blk.{layer}.ffn_gate.weight"] = gate
        tensors[f"blk.{layer}.ffn_up.weight"] = up
    return tensors


class LlamaCpp:
    """The three calls that are timed, on llama.cpp's C interface (its Python class would add its own time)."""

    def __init__(self, path: Path, capacity: int, num_threads: int) -> None:
        self._silence = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self._silence, ctypes.c_void_p(0))
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if not self._model:
            raise SystemExit("llama.cpp cannot load the GGUF file")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = capacity
        params.n_threads = params.n_threads_batch = num_threads
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._vocab_size = llama_cpp.llama_n_vocab(llama_cpp.llama_model_get_vocab(self._model))
        self.length = 0

    def decode(self, token_ids: list[int]) -> np.ndarray:
        tokens = (llama_cpp.llama_token * len(token_ids))(*token_ids)
        if llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(tokens, len(token_ids))):
            raise SystemExit("llama_decode failed")
        self.length += len(token_ids)
        logits = llama_cpp.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(logits, (self._vocab_size,)).copy()

    def prefill(self, token_ids: list[int]) -> np.ndarray:
        self.rewind(0)
        return self.decode(token_ids)

    def rewind(self, length: int) -> None:
        llama_cpp.llama_memory_seq_rm(self._memory, 0, length, -1)
        self.length = length


def time_turn(engine: Any, ids: list[int], decode_ms: list[float], prefill_ms: list[float]) -> None:
    """Time one prefill and one run of decode steps, and append the durations."""

    def timed(call: Callable[[], object]) -> float:
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * 1000

    engine.prefill(ids[:FIRST_LENGTH])
    prefill_ms.append(timed(lambda: engine.prefill(ids[:FIRST_LENGTH])))
    steps = [timed(lambda: engine.decode([ids[engine.length]])) for _ in range(FIRST_LENGTH, LAST_LENGTH)]
    decode_ms.extend(steps[SKIPPED_STEPS:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    checkpoint = Checkpoint.load(options.checkpoint)
    ids = np.random.default_rng(0).integers(3, checkpoint.config.vocab_size, LAST_LENGTH).tolist()
    expected = reference_logits(checkpoint.config, checkpoint.weights(), ids)[-1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        write_gguf(checkpoint, path)
        size_mb = path.stat().st_size / 1e6
        engines = {
            "onnx": OnnxBackend.load(checkpoint, num_threads=options.threads),
            "llama.cpp": LlamaCpp(path, checkpoint.config.max_context_length, options.threads),
        }
        # Both must be the network they claim to be; 4-bit rounding leaves about .8 even where weights are random.
        agreement = {name: float(np.corrcoef(engine.prefill(ids), expected)[0, 1]) for name, engine in engines.items()}
        if min(agreement.values()) < 0.6:
            raise SystemExit(f"an engine computes something else than the weights: {agreement}")
        decode_ms: dict[str, list[float]] = {name: [] for name in engines}
        prefill_ms: dict[str, list[float]] = {name: [] for name in engines}
        for turn in range(options.rounds):
            for name in sorted(engines, reverse=turn % 2 == 1):
                time.sleep(PAUSE_S)
                time_turn(engines[name], ids, decode_ms[name], prefill_ms[name])
    report: dict[str, Any] = {"checkpoint": checkpoint.folder.name, "threads": options.threads, "cores": os.cpu_count()}
    for name in engines:
        report[name] = {
            "decode_ms": statistics.median(decode_ms[name]),
            "decode_best_ms": min(decode_ms[name]),
            "prefill_32_ms": statistics.median(prefill_ms[name]),
            "correlation_with_fp32": agreement[name],
        }
        print(
            f"{name:<10} decode {report[name]['decode_ms']:.3f} ms (best {report[name]['decode_best_ms']:.3f}),"
            f" prefill of 32 {report[name]['prefill_32_ms']:.2f} ms, correlation with fp32 {agreement[name]:.4f}"
        )
    report["gguf_mb"] = size_mb
    report["decode_ratio"] = report["onnx"]["decode_ms"] / report["llama.cpp"]["decode_ms"]
    report["prefill_ratio"] = report["onnx"]["prefill_32_ms"] / report["llama.cpp"]["prefill_32_ms"]
    print(f"ours / llama.cpp: decode {report['decode_ratio']:.2f}, prefill {report['prefill_ratio']:.2f}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
