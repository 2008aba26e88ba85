"""GGUF files for llama.cpp: architecture ``openelm``, heads and feed-forward widths per layer.

No key says that pieces hold the space behind a word. Named "llama" (whose search merges pieces by score), a file of our
own models takes text and gets the wrong ids without a word; named "t5" (the search for the most probable pieces, as
they were trained) it gets the right ones for the text form with a space at the end, for 600 of the 600 lines tried.
OpenELM's original tokenizer is Llama's and works as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import ConfigError, MissingExtraError, WriteError
from keyboard_lm.files import replaced_file
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.tensor_names import FINAL_NORM, TABLE, layer_prefix

TYPES = ("f16", "q8_0", "q4_0")
BLOCK = 32  # weights that share a scale in Q8_0 and Q4_0


def export_file(checkpoint: Checkpoint, path: Path, kind: str = "q8_0") -> int:
    """Write a checkpoint as a GGUF file, whole or not at all; return its bytes. Norms stay fp32.

    Args:
        checkpoint: with weights.
        path: the file.
        kind: one of `TYPES`: of all matrices, the tied table included.

    Raises:
        CheckpointError: the weights are missing or damaged.
        WriteError: the file cannot be written; what stood there still does.
        ConfigError: no such type, or rows that are no multiple of its block.
        MissingExtraError: gguf or safetensors is not installed.
    """
    if kind not in TYPES:
        raise ConfigError(f"no GGUF type {kind!r}; choose one of: {', '.join(TYPES)}")
    try:
        import gguf
    except ImportError:
        raise MissingExtraError("gguf", "gguf") from None
    tensors = gguf_tensors(checkpoint)
    if kind != "f16":
        for name, values in tensors.items():
            if values.ndim > 1 and values.shape[-1] % BLOCK:
                raise ConfigError(f"{name}: rows of {values.shape[-1]} are no multiple of {BLOCK}; use --type f16")
    types = gguf.GGMLQuantizationType
    quantization = {"f16": types.F16, "q8_0": types.Q8_0, "q4_0": types.Q4_0}[kind]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    with replaced_file(path) as draft:
        writer = gguf.GGUFWriter(draft, "openelm")
        _write_header(writer, checkpoint, kind)
        for name, values in tensors.items():
            if values.ndim == 1:
                writer.add_tensor(name, values)
            else:
                writer.add_tensor(name, gguf.quants.quantize(values, quantization), raw_dtype=quantization)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return path.stat().st_size


def _write_header(writer: Any, checkpoint: Checkpoint, kind: str) -> None:
    import gguf

    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    files = gguf.LlamaFileType
    writer.add_name(f"keyboard-lm {checkpoint.digest[:12]}")
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
    writer.add_file_type({"f16": files.MOSTLY_F16, "q8_0": files.MOSTLY_Q8_0, "q4_0": files.MOSTLY_Q4_0}[kind])
    kinds = {
        **dict.fromkeys(tokenizer.byte_ids, gguf.TokenType.BYTE),
        **dict.fromkeys(tokenizer.control_ids, gguf.TokenType.CONTROL),
    }
    writer.add_tokenizer_model("llama" if tokenizer.is_prefix_space else "t5")
    writer.add_token_list(list(tokenizer.pieces))
    writer.add_token_scores(list(tokenizer.scores))
    writer.add_token_types([kinds.get(i, gguf.TokenType.NORMAL) for i in range(tokenizer.vocab_size)])
    writer.add_bos_token_id(tokenizer.bos_id)
    writer.add_eos_token_id(tokenizer.eos_id)
    writer.add_add_space_prefix(tokenizer.is_prefix_space)
    if not tokenizer.is_prefix_space:  # what "t5" takes for granted is the reverse
        writer.add_unk_token_id(tokenizer.pieces.index("<unk>"))
        writer.add_add_bos_token(True)
        writer.add_add_eos_token(False)
        writer.add_remove_extra_whitespaces(False)


def gguf_tensors(checkpoint: Checkpoint) -> dict[str, NDArray[np.float32]]:
    """Return the fp32 weights under llama.cpp's names; proj_1 is cut into its gate and its up half."""
    weights = {name: values.astype(np.float32) for name, values in checkpoint.weights().items()}
    tensors = {
        "token_embd.weight": weights[TABLE],
        "output_norm.weight": weights[FINAL_NORM],
    }
    ours = {
        "attn_norm": "attn_norm", "attn_qkv": "attn.qkv_proj", "attn_q_norm": "attn.q_norm",
        "attn_k_norm": "attn.k_norm", "attn_output": "attn.out_proj", "ffn_norm": "ffn_norm", "ffn_down": "ffn.proj_2",
    }  # fmt: skip
    for layer in range(checkpoint.config.num_transformer_layers):
        prefix = layer_prefix(layer)
        for theirs, name in ours.items():
            tensors[f"blk.{layer}.{theirs}.weight"] = weights[f"{prefix}{name}.weight"]
        gate, up = np.split(weights[f"{prefix}ffn.proj_1.weight"], 2)
        tensors[f"blk.{layer}.ffn_gate.weight"] = gate
        tensors[f"blk.{layer}.ffn_up.weight"] = up
    return tensors
